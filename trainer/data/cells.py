"""The texts of one row: reads them by field and checks them for suspicious content."""

from __future__ import annotations

import re
from typing import Any

from interfaces.problems import Code
from trainer.data.rows import kind_of

MOST_CHARACTERS = 1_000_000
"""A longer cell gets a warning."""
_ODD_BYTES = bytes([*range(9), 11, 12, *range(14, 32), 127])
_ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ufeff\u202a-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPECIAL = re.compile(r"<\|[a-zA-Z][\w ]{0,30}\|>")
_NO_VALUES = {"nan", "none", "null", "undefined", "n/a", "#n/a", "nil", "<na>"}
_OPEN_ENDS = {
    ",": "ends_with_comma",
    "(": "bracket_open",
    "[": "bracket_open",
    "{": "bracket_open",
}
_ONE_BLANK = re.compile(r" \S")
_CUT_MARKS = ("[truncated]", "<truncated>", "...(truncated)", "[cut]", "(truncated)")


_PLACE_OF_MEDIA = re.compile(r"<(image|video|audio)>")
_AT_AN_EDGE = re.compile(r"^\s*<(?:image|video|audio)>|<(?:image|video|audio)>\s*$", re.MULTILINE)
"""An image placeholder, but only at the start or end of a line; inside a line the text may just mention the tag."""


class RowError(Exception):
    """A row that can't become an example. The caller adds its position."""

    def __init__(self, code: Code, **params: Any) -> None:
        super().__init__(code)
        self.code, self.params = code, params


class Cells:
    """Collects the warnings about one row's texts."""

    def __init__(self) -> None:
        self.warnings: list[tuple[Code, dict[str, object]]] = []
        self.unused: set[str] = set()
        """Keys inside turns that are not used."""

    def warn(self, code: Code, field: str, **params: Any) -> None:
        self.warnings.append((code, {"field": field, **params}))

    def text(
        self, values: dict[str, object], key: str, within: str = "", required: bool = True, answer: bool = False,
        any_length: bool = False,
    ) -> str:  # fmt: skip
        """Return the text of a field. An optional field may be missing or null; a required one must not be blank.

        `any_length` is for plain text, which may be a whole document.

        Raises:
            RowError: the field is missing or isn't usable text.
        """
        field = f"{within}.{key}" if within else key
        if key not in values and required:
            raise RowError(Code.ROW_FIELD_MISSING, field=field)
        value = values.get(key)
        if not required and (value is None or value == [] or value == {}):
            return ""
        if not isinstance(value, str):
            raise RowError(Code.ROW_FIELD_TYPE, field=field, expected="type_text", value=kind_of(value))
        if not value.isascii() and _SURROGATE.search(value):
            half = "half_character"
            raise RowError(Code.ROW_FIELD_TYPE, field=field, expected="type_text", value=half)
        if required and not value.strip():
            raise RowError(Code.ROW_FIELD_EMPTY, field=field)
        self.look(value, field, any_length)
        if answer:
            self._look_at_end(value, field)
        return value

    def look(self, value: str, field: str, any_length: bool = False) -> None:
        """Add warnings for content that is rarely intended.

        Raises:
            RowError: the text is a placeholder for an image, which is unsupported.
        """
        if len(value) > MOST_CHARACTERS and not any_length:
            self.warn(Code.ROW_CELL_LARGE, field, value=len(value), expected=MOST_CHARACTERS)
        if len(value) < 20 and value.strip().lower() in _NO_VALUES:
            self.warn(Code.ROW_NOT_A_VALUE, field, value=value.strip())
        if _may_hold_odd(value) and (odd := _ODD.search(value)):
            code = Code.ROW_DAMAGED_CHARACTER if odd[0] == "\ufffd" else Code.ROW_CONTROL_CHARACTERS
            self.warn(code, field, value=f"U+{ord(odd[0]):04X}")
        if (place := _PLACE_OF_MEDIA.search(value)) and f"</{place[1]}>" not in value:
            if _AT_AN_EDGE.search(value):
                raise RowError(Code.ROW_HAS_MEDIA, field=field, value=place[0])
            self.warn(Code.ROW_HAS_MEDIA, field, value=place[0])
        if "<|" in value and (special := _SPECIAL.search(value)):
            self.warn(Code.ROW_SPECIAL_TOKEN, field, value=special[0])

    def _look_at_end(self, value: str, field: str) -> None:
        text = value.rstrip()
        if text.count("```") % 2:
            reason = "code_block_open"
        elif text.rfind("<think>") > text.rfind("</think>"):
            reason = "thinking_open"
        elif text[-1:] in _OPEN_ENDS and len(text) > 40:
            reason = _OPEN_ENDS[text[-1]]
        elif text.lower().endswith(_CUT_MARKS):
            reason = "says_truncated"
        else:
            return
        self.warn(Code.ROW_ANSWER_CUT, field, reason=reason)


def without_edges(answer: str) -> str:
    """Remove the blanks at the end of an answer, and a single one at its beginning, as in OpenAI's older files.

    Other leading blanks (code) belong to the answer.
    """
    trimmed = answer.rstrip()
    return trimmed[1:] if _ONE_BLANK.match(trimmed) else trimmed


def _may_hold_odd(value: str) -> bool:
    """Pre-check a text quickly: most texts are plain, and regular expressions over a gigabyte are slow."""
    if not value.isascii():
        return True
    raw = value.encode()
    return len(raw.translate(None, _ODD_BYTES)) != len(raw)
