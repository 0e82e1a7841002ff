"""Rows of a dataset by their text, their length, and whether they have warnings, a page at a time.

The rows aren't parsed: a text is looked for in the bytes of `examples.jsonl`, without regard to the case of A to Z, and
the index says which row a hit is in. The positions that were found are kept for the next pages.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from interfaces.example import ExampleRecord
from interfaces.example_file import INDEX_ROW, SUSPICIOUS, ExampleFile
from interfaces.folders import DatasetFolder

Order = Literal["file", "longest", "shortest"]
CHUNK_BYTES = 8 << 20
KEPT = 8
"""Results that are kept; one of a million rows takes four megabytes."""
_NAMES = ["schema_version", "row", "line", "source", "messages", "role", "content", "text", "tools", "warnings", "reasoning", "tool_calls", "name", "arguments", "id", "tool_call_id", "train"]  # fmt: skip
_FRAGMENTS = (
    b'"train":true', b'"train":false', b'"line":null', b'"id":null',
    *(f'"{name}":'.encode() for name in _NAMES),
    *(f'"{role}"'.encode() for role in ("system", "user", "assistant", "tool")),
)  # fmt: skip
"""What the JSON of each row has beside its text. Inside of a text, its quotation marks would be escaped."""
_BACKSLASH = ord("\\")
_NUMBERS = re.compile(rb'"(?:schema_version|row|line|source)":\d+')
_PUNCTUATION = re.compile(rb'[{}\[\]:,"]')


class FoundRow(BaseModel):
    """A row with its position, from 0."""

    position: int
    example: ExampleRecord


class FoundRows(BaseModel):
    """A page of the rows that match, and how many match."""

    total: int
    rows: list[FoundRow]


def find_rows(
    folder: DatasetFolder, text: str = "", order: Order = "file", only_warnings: bool = False, start: int = 0,
    count: int = 20,
) -> FoundRows:  # fmt: skip
    """Return rows that contain a text and have warnings, if that is asked for, in an order by length."""
    examples = ExampleFile(folder)
    if not text and order == "file" and not only_warnings:
        positions = range(start, min(start + count, len(examples)))
        total = len(examples)
    else:
        status = folder.examples.stat()
        found = _positions(folder.path, status.st_mtime_ns, text, order, only_warnings)
        positions, total = found[start : start + count], len(found)  # type: ignore[assignment]
    return FoundRows(total=total, rows=[FoundRow(position=one, example=examples[one]) for one in positions])


@lru_cache(maxsize=KEPT)
def _positions(path: Path, _changed: int, text: str, order: Order, only_warnings: bool) -> array[int]:
    folder = DatasetFolder(path)
    offsets, flags = _index(path, _changed)
    found = range(len(flags)) if not text else _containing(folder.examples, offsets, text)
    if only_warnings:
        found = [position for position in found if flags[position] & SUSPICIOUS]
    if order != "file":
        found = sorted(found, key=lambda one: offsets[one + 1] - offsets[one], reverse=order == "longest")
    return array("I", found)


@lru_cache(maxsize=2)
def _index(path: Path, _changed: int) -> tuple[array[int], bytes]:
    """Return where each row begins, with the end of the last one, and the flags of each."""
    folder = DatasetFolder(path)
    entries = list(INDEX_ROW.iter_unpack(folder.index.read_bytes()))
    offsets = array("Q", (entry[0] for entry in entries))
    offsets.append(folder.examples.stat().st_size)
    return offsets, bytes(entry[4] & 0xFF for entry in entries)


def _containing(path: Path, offsets: array[int], text: str) -> list[int]:
    """Return the positions of the rows whose text contains this one."""
    needle = json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "replace").lower()
    without = _structure_remover(needle)
    found: list[int] = []
    with path.open("rb") as file:
        position, last = 0, len(offsets) - 1
        while position < last:
            # Whole rows, of at least one chunk: a text is in one row.
            end = max(bisect_right(offsets, offsets[position] + CHUNK_BYTES) - 1, position + 1)
            chunk = file.read(offsets[end] - offsets[position]).lower()
            if without is not None:
                lines = without(chunk).split(b"\n")
                rows = enumerate(lines[: end - position], start=position)
                found += [number for number, line in rows if _hit(line, needle, 0) >= 0]
            else:
                base, at = offsets[position], _hit(chunk, needle, 0)
                while at >= 0:
                    row = bisect_right(offsets, base + at) - 1
                    found.append(row)
                    at = _hit(chunk, needle, offsets[row + 1] - base)
            position = end
    return found


def _hit(data: bytes, needle: bytes, start: int) -> int:
    """Return where a text is, from `start` on; -1 if it isn't. The n of a line break, which is written as \\n, is no hit."""
    at = data.find(needle, start)
    while at > 0 and data[at - 1] == _BACKSLASH:
        before = at
        while before > 0 and data[before - 1] == _BACKSLASH:
            before -= 1
        if (at - before) % 2 == 0:  # they are pairs, each a backslash of the text
            break
        at = data.find(needle, at + 1)
    return at


def _structure_remover(needle: bytes) -> Callable[[bytes], bytes] | None:
    """Return what removes from a chunk all that isn't text but could contain this; None if nothing could."""
    if needle.isdigit():
        return lambda chunk: _NUMBERS.sub(b"", chunk)
    if b" " in needle:
        return None  # the structure has no spaces
    if _PUNCTUATION.search(needle):
        return _texts_only
    fragments = [fragment for fragment in _FRAGMENTS if needle in fragment]
    if fragments:

        def remove(chunk: bytes) -> bytes:
            for fragment in fragments:
                chunk = chunk.replace(fragment, b"")
            return chunk

        return remove
    return None


_TEXTS = re.compile(rb'"(?:content|text|reasoning|arguments)":("(?:[^"\\\n]|\\.)*"|\{[^\n]*?\})')


def _texts_only(chunk: bytes) -> bytes:
    """Return the texts of each row, a line for each."""
    return b"\n".join(b"\x00".join(text[1:-1] for text in _TEXTS.findall(line)) for line in chunk.split(b"\n"))
