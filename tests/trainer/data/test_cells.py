import pytest

from interfaces.problems import Code
from trainer.data.cells import MOST_CHARACTERS, Cells, RowError


def doubts_of(text: str, answer: bool = False) -> list[Code]:
    cells = Cells()
    assert cells.text({"field": text}, "field", "row", answer=answer) == text
    assert all(params["field"] == "row.field" for _, params in cells.warnings)
    return [code for code, _ in cells.warnings]


@pytest.mark.parametrize(
    "text",
    [
        "Plain text.",
        "Tabs\tand\r\nlines",
        "你好",
        "a < b > c",
        "</s> in HTML",
        "Nan is a bread",
        "x = null;",
        "No",
        "naïve",
        "🤷🏽‍♀️ joined",
        "שלום",
        "|> <|",
    ],
)
def test_ordinary_text_has_no_warnings(text: str) -> None:
    assert doubts_of(text, answer=True) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nan", Code.ROW_NOT_A_VALUE), (" None ", Code.ROW_NOT_A_VALUE), ("#N/A", Code.ROW_NOT_A_VALUE),
        ("a\x00b", Code.ROW_CONTROL_CHARACTERS), ("\x1b[31mred", Code.ROW_CONTROL_CHARACTERS),
        ("a\u202eb", Code.ROW_CONTROL_CHARACTERS), ("caf\ufffd", Code.ROW_DAMAGED_CHARACTER), ("\x85", Code.ROW_CONTROL_CHARACTERS),
        ("x<|im_end|>", Code.ROW_SPECIAL_TOKEN), ("x" * (MOST_CHARACTERS + 1), Code.ROW_CELL_LARGE),
    ],
)  # fmt: skip
def test_unintended_content_gets_a_warning(text: str, code: Code) -> None:
    assert doubts_of(text) == [code] if text != "\x85" else doubts_of("a\x85") == [code]


@pytest.mark.parametrize(
    "text", ["```python\nprint(1)", "<think>Let me see", "x" * 41 + ",", "and so on [truncated]", "x" * 41 + " ("]
)
def test_cut_off_answer_gets_a_warning(text: str) -> None:
    assert doubts_of(text, answer=True) == [Code.ROW_ANSWER_CUT]
    assert doubts_of(text) == []


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, Code.ROW_FIELD_MISSING), ({"field": None}, Code.ROW_FIELD_TYPE), ({"field": 1}, Code.ROW_FIELD_TYPE),
        ({"field": ""}, Code.ROW_FIELD_EMPTY), ({"field": " \n"}, Code.ROW_FIELD_EMPTY), ({"field": "\udc00"}, Code.ROW_FIELD_TYPE),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_used_is_an_error(values: dict[str, object], code: Code) -> None:
    with pytest.raises(RowError) as raised:
        Cells().text(values, "field")
    assert raised.value.code == code


def test_an_optional_field_may_be_missing_or_null() -> None:
    assert Cells().text({}, "field", required=False) == Cells().text({"field": None}, "field", required=False) == ""
