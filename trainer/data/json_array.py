"""Streams the elements of one JSON array, each with the line on which it starts. No torch.

After a broken element, reading continues at the next text that looks like the start of a row: a brace and a known key.
So one mistake doesn't hide the rows after it.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

from interfaces.errors import FineTuneError
from interfaces.problems import Code, Problem
from trainer.data.rows import BOM, MOST_ROW_BYTES, NO_UTF8, TOO_DEEP, Row, as_row, open_data, too_much

_BLANK = re.compile(r"[ \t\r\n]*")
_FIRST_KEY = re.compile(r'\{\s*"((?:[^"\\]|\\.){1,200})"\s*:')
_MOST_KEYS = 50
_OBJECT_END = re.compile(r'(?:\s*,\s*"[^"]{1,80}"\s*:\s*(?:"[^"]*"|[^\[\]{},"]+))*\s*\}')
"""The remaining keys of an object that wraps an array, such as a version."""
_OTHER_LIST = re.compile(
    r'(?:\s*,\s*"[^"]{1,80}"\s*:\s*(?:"[^"]*"|[^\[\]{},"]+))*\s*,\s*"([^"]{1,80})"\s*:\s*\[\s*[{\]]'
)
"""Another list of rows after the first one, such as a second split."""
_CHUNK = 1 << 20
_TOO_DEEP = 10
"""Reading stops after this many consecutive rows that are nested too deeply: they are levels of the same row."""


class _Stream:
    """A sliding window over the text after the array's bracket, with its position in the file."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        bom = file.read(3) == BOM
        file.seek(0)
        skipped = file.read(start + (3 if bom else 0))
        self.text, self.at, self.ended = "", 0, False
        self.offset, self.line = len(skipped), 1 + skipped.count(b"\n")

    def more(self, least: int = _CHUNK) -> bool:
        """Read more text. Return False at the end of the file."""
        raw = self._file.read(least)
        self.ended = not raw
        self.text += self._decoder.decode(raw, final=not raw)
        return bool(raw)

    def forward(self, to: int) -> None:
        """Advance to a position of the window. Text before it is dropped from time to time."""
        passed = self.text[self.at : to]
        self.line += passed.count("\n")
        self.offset += len(passed.encode("utf-8", "surrogateescape"))
        self.at = to
        if to > _CHUNK:
            self.text, self.at = self.text[to:], 0

    def skip_blank(self) -> str:
        """Skip blanks and return the next character, or an empty string at the end."""
        while True:
            self.forward(_BLANK.match(self.text, self.at).end())  # type: ignore[union-attr]
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""


Form = Literal["array", "wrapped", "bare"]


def array_rows(path: Path, start: int, form: Form = "array") -> Iterator[Row]:
    """Yield the rows of the array that opens just before byte `start`.

    In form "wrapped" the array is a value in an object; in "bare" objects follow each other without an array.

    Raises:
        FineTuneError: an object has several lists of rows, so the choice is ambiguous.
    """
    decoder = json.JSONDecoder()
    number, deep = 0, 0
    keys: dict[str, None] = {}
    with open_data(path) as file:
        stream = _Stream(file, start)
        while (character := stream.skip_blank()) and (character != "]" or form == "bare"):
            number += 1
            line, offset = stream.line, stream.offset
            if not keys and (found := _FIRST_KEY.match(stream.text, stream.at)):
                keys[found[1]] = None
            values, end, reason = _element(stream, decoder)
            if not reason:
                row = _row(path.name, number, line, offset, values, stream.text[stream.at : end])
                stream.forward(end)
                reason = "" if form == "bare" else _separator(stream)
                if row.values is not None and len(keys) < _MOST_KEYS:
                    keys |= dict.fromkeys(row.values)
                yield row
                if not reason:
                    continue
                # Text between two rows belongs to neither; report it as a separate row.
                number, line, offset = number + 1, stream.line, stream.offset
            before = stream.offset
            _resync(stream, list(keys)[:_MOST_KEYS])
            problem = Problem.error(Code.ROW_BROKEN_JSON, path=path.name, row=number, line=line, reason=reason)
            yield Row(number, line, None, problem, offset, max(stream.offset - before, 1))
            deep = deep + 1 if reason == TOO_DEEP else 0
            if deep == _TOO_DEEP:
                return
        if form == "wrapped" and character == "]" and (other := _other_list(stream)):
            raise FineTuneError.of(Code.FILE_SPLITS, path=path.name, value=other)
        if form != "bare" and (reason := _after_end(stream, character, form == "wrapped")):
            problem = Problem.error(
                Code.ROW_BROKEN_JSON, path=path.name, row=number + 1, line=stream.line, reason=reason
            )
            yield Row(number + 1, stream.line, None, problem, stream.offset, 1)


def _element(stream: _Stream, decoder: json.JSONDecoder) -> tuple[Any, int, str]:
    """Return (value, its end in the window, its error)."""
    size = _CHUNK
    while True:
        try:
            values, end = decoder.raw_decode(stream.text, stream.at)
            if end < len(stream.text) or stream.ended or not stream.more():
                return values, end, ""
        except RecursionError as error:
            return None, 0, too_much(error)
        except json.JSONDecodeError as error:
            # An element may seem broken only because the window ends inside it.
            inside = error.pos < len(stream.text) - 16 and not error.msg.startswith("Unterminated string")
            if inside or len(stream.text) - stream.at > MOST_ROW_BYTES or not stream.more(size):
                column = error.pos - stream.text.rfind("\n", 0, error.pos)
                line = stream.line + stream.text.count("\n", stream.at, error.pos)
                return None, 0, f"{error.msg}, line {line} column {column}"
            size *= 2
        except ValueError as error:
            return None, 0, too_much(error)


def _separator(stream: _Stream) -> str:
    """Skip the comma after an element. Return the error if there is none."""
    character = stream.skip_blank()
    if character == ",":
        stream.forward(stream.at + 1)
        return ""
    # The caller reports the end, or a missing end.
    return "" if character in ("]", "") else "separator_missing"


def _row(name: str, number: int, line: int, offset: int, values: Any, text: str) -> Row:
    raw = text.encode("utf-8", "surrogateescape")
    if not text.isascii() and (found := NO_UTF8.search(text)):
        problem = Problem.error(
            Code.ROW_BAD_ENCODING, path=name, row=number, line=line + text.count("\n", 0, found.start()),
            value=f"0x{ord(found[0]) - 0xDC00:02x}", position=found.start(),
        )  # fmt: skip
        return Row(number, line, None, problem, offset, len(raw))
    return as_row(name, number, line, values, offset, raw)


def _resync(stream: _Stream, keys: list[str]) -> None:
    """Skip to the next element that begins like a row, with a known key, or to the end of the file."""
    key = rf'"(?:{"|".join(map(re.escape, keys))})"\s*:' if keys else '"'
    begins = re.compile(r"\{\s*" + key)
    at = stream.at + 1
    while not (found := begins.search(stream.text, at)):
        at = max(len(stream.text) - 300, stream.at + 1)
        if not stream.more():
            closing = stream.text.rfind("]")
            stream.forward(closing if keys and closing > stream.at else len(stream.text))
            return
        if at > 4 * _CHUNK:
            stream.forward(at)
            at = stream.at
    stream.forward(found.start())


def _other_list(stream: _Stream) -> str:
    """Return the name of a second list in the object after the end of the first."""
    if len(stream.text) - stream.at < 1000:
        stream.more()
    found = _OTHER_LIST.match(stream.text, stream.at + 1)
    return found[1] if found else ""


def _after_end(stream: _Stream, character: str, wrapped: bool) -> str:
    """Return the error after the last element: a missing end, or extra text, which must not be dropped silently."""
    if character != "]":
        return "array_not_closed"
    stream.forward(stream.at + 1)
    if wrapped and stream.skip_blank() and (rest := _OBJECT_END.match(stream.text, stream.at)):
        stream.forward(rest.end())
    return "text_after_array" if stream.skip_blank() else ""
