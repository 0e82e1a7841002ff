"""Translates pydantic errors to problems, with the expected value as sub-codes that the catalogs have in each language."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, Required, TypedDict

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from interfaces.foreign_names import FOREIGN_NAMES
from interfaces.problems import Code, Problem

_LIMITS = ("gt", "ge", "lt", "le", "max_length", "min_length", "expected")
"""The keys in pydantic's error context that hold the violated limit or the allowed choices."""
_SAME = {
    "bool_type": "bool_parsing", "int_type": "int_parsing", "int_from_float": "int_parsing", "float_type": "float_parsing",
    "string_sub_type": "string_type", "mapping_type": "dict_type", "too_long": "string_too_long", "too_short": "string_too_short",
    "string_pattern_mismatch": "literal_error", "enum": "literal_error", "model_type": "dict_type", "model_attributes_type": "dict_type",
}  # fmt: skip


class Expectation(TypedDict, total=False):
    """A sub-code with the limit or the choices that were missed, or pydantic's own words."""

    code: Required[str]
    words: str
    known: object


def expectation_of(details: ErrorDetails) -> Expectation:
    """Convert a pydantic error record to {"code", "known"}: a sub-code, and the limit or the choices.

    Our own validators raise ValueError with a sub-code. Any other error keeps pydantic's message.
    """
    kind, context = str(details["type"]), details.get("ctx") or {}
    if kind in ("value_error", "assertion_error"):
        return {"code": str(context.get("error") or details["msg"])}
    known = next((context[name] for name in _LIMITS if name in context), context.get("pattern"))
    expectation: Expectation = {"code": f"pydantic_{_SAME.get(kind, kind)}", "words": str(details["msg"])}
    if known is not None:
        expectation["known"] = known
    return expectation


def merged(one: list[Expectation], more: list[Expectation]) -> list[Expectation]:
    """Merge what the members of a union (`true or auto`) expected, without duplicates."""
    return [*one, *(other for other in more if other not in one)]


def problems_of(error: ValidationError, known: Sequence[str]) -> list[Problem]:
    """Convert the errors of a config to problems. `known` are the dotted names of all settings."""
    return _by_field(_problem_of(details, known) for details in error.errors())


def _by_field(problems: Iterable[Problem]) -> list[Problem]:
    """Keep one problem per field: a union (`bf16: true or auto`) reports each member that didn't match."""
    by_field: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        key = (problem.code, problem.params["field"])
        if key in by_field and "expected" in problem.params:
            both = merged(by_field[key].params["expected"], problem.params["expected"])
            problem = Problem.error(problem.code, **{**problem.params, "expected": both})
        by_field[key] = problem
    return list(by_field.values())


def _problem_of(details: ErrorDetails, known: Sequence[str]) -> Problem:
    """Convert a pydantic error record to a Problem."""
    # A union reports each member: keep only the field's name, not the member's.
    parts = [str(part) for part in details["loc"]]
    field = next(
        (".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in known), ".".join(parts)
    )
    if details["type"] == "extra_forbidden":
        field = ".".join(parts)
        if (ours := FOREIGN_NAMES.get(parts[-1])) is not None:
            return Problem.error(Code.UNKNOWN_KEY, field=field, suggestion=ours)
        close = difflib.get_close_matches(field, known, n=1, cutoff=0.5) or difflib.get_close_matches(
            parts[-1], [name.split(".")[-1] for name in known], n=1, cutoff=0.6
        )
        return Problem.error(Code.UNKNOWN_KEY, field=field, suggestion=close[0] if close else "")
    if details["type"] == "missing" or details.get("input") is None:
        return Problem.error(Code.VALUE_MISSING, field=field)
    seen, expected = _short(details.get("input")), [expectation_of(details)]
    return Problem.error(Code.VALUE_INVALID, field=field, value=seen, expected=expected)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
