"""What pydantic finds wrong, as sub-codes that are said in both languages."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from interfaces.problems import Code, Problem
from interfaces.texts import LANGUAGES, sentence, texts
from interfaces.validation import expectation_of, merged


class Every(BaseModel):
    above: float = Field(1.0, gt=0, lt=2)
    least: int = Field(1, ge=1, le=9)
    kind: Literal["a", "b"] = "a"
    on: bool = True
    words: list[str] = Field(["x"], max_length=2, min_length=1)
    named: dict[str, float] = {}
    text: str = Field("x", min_length=1, max_length=3)
    real: float = Field(1.0, allow_inf_nan=False)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("above", 0, "greater than 0"), ("above", 2, "less than 2"), ("above", "x", "a number"),
        ("least", 0, "at least 1"), ("least", 10, "at most 9"), ("least", 1.5, "a whole number"),
        ("kind", "c", "'a' or 'b'"), ("on", "perhaps", "true or false"), ("words", [], "at least 1"),
        ("words", ["a"] * 3, "at most 2"), ("words", "x", "a list"), ("words", [1], "text"), ("named", [], "a mapping"),
        ("text", "", "at least 1"), ("text", "long", "at most 3"), ("text", 5, "text"), ("real", float("inf"), "a finite number"),
    ],
)  # fmt: skip
def test_every_validation_error_has_both_languages(field: str, value: Any, says: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Every(**{field: value})
    expected = [expectation_of(dict(one)) for one in raised.value.errors()]
    problem = Problem.error(Code.VALUE_INVALID, field=field, value=repr(value), expected=expected)
    assert says in sentence(problem)
    for language in LANGUAGES:
        assert all(one["code"] in texts("reason", language) for one in expected)
    assert "should" not in sentence(problem, "zh")


def test_union_members_are_reported_once() -> None:
    one, other = {"code": "pydantic_bool_parsing"}, {"code": "pydantic_literal_error", "known": "'auto'"}
    assert merged([one], [other]) == merged([one, other], [one]) == [one, other]


def test_untranslated_errors_keep_their_message() -> None:
    found = expectation_of({"type": "of_the_future", "msg": "Input should be nicer"})
    problem = Problem.error(Code.VALUE_INVALID, field="f", value="1", expected=[found])
    assert "Input should be nicer" in sentence(problem, "zh")
