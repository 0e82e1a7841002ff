"""Translates pydantic errors to the expected value, as sub-codes that the catalogs have in each language."""

from __future__ import annotations

from typing import Required, TypedDict

from pydantic_core import ErrorDetails

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
