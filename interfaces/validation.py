"""What pydantic finds wrong with a value, as what was expected: sub-codes that the catalogs have in each language."""

from __future__ import annotations

from typing import Required, TypedDict

from pydantic_core import ErrorDetails

_LIMITS = ("gt", "ge", "lt", "le", "max_length", "min_length", "expected")
"""Where pydantic's error types hold the figure or the choices that a value missed."""
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
    """One of pydantic's error records as {"code", "known"}: a sub-code, and the limit or the choices.

    A validator of our own raises ValueError with a sub-code; what neither names stays in pydantic's words.
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
    """What the arms of a union (`true or auto`) expected, each once."""
    return [*one, *(other for other in more if other not in one)]
