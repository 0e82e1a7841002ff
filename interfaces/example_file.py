"""The rows of a dataset on disk: `examples.jsonl`, and `examples.index` for random access.

The index has 24 bytes per row (`INDEX_ROW`): the offset of the line, a hash of the row's text (equal for rows that
differ only in case and spaces), the row's number in its source, the part of a mixed dataset that it comes from, and
flags, which say what the row holds. The rows are never all in memory at once.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel

from interfaces.example import Example
from interfaces.folders import DatasetFolder

INDEX_ROW = struct.Struct("<QQIHH")
"""offset, group, row, source, flags; numpy reads the same as INDEX_FIELDS."""
INDEX_FIELDS = [("offset", "<u8"), ("group", "<u8"), ("row", "<u4"), ("source", "<u2"), ("flags", "<u2")]
SUSPICIOUS, PAIR, DESIRED, UNDESIRED, TEXT, CHOSEN_LONGER, REJECTED_LONGER = (1 << bit for bit in range(7))


class RowKinds(BaseModel):
    """How many rows of a dataset hold something that only some training methods use."""

    pairs: int = 0
    """Rows with a chosen and a rejected answer."""
    desired: int = 0
    undesired: int = 0
    texts: int = 0
    chosen_longer: int = 0
    """Pairs whose chosen answer has more characters."""
    rejected_longer: int = 0


def flags_of(example: Example) -> int:
    """Return the flags of a row for the index."""
    flags = SUSPICIOUS if example.warnings else 0
    if example.text is not None:
        flags |= TEXT
    if example.label is not None:
        flags |= DESIRED if example.label else UNDESIRED
    if example.rejected:
        chosen, rejected = (
            sum(len(turn.content) for turn in turns)
            for turns in (example.messages[len(example.prompt) :], example.rejected)
        )
        flags |= PAIR | (CHOSEN_LONGER if chosen > rejected else REJECTED_LONGER if rejected > chosen else 0)
    return flags


class ExampleWriter:
    """Writes rows and their index side by side."""

    def __init__(self, folder: DatasetFolder) -> None:
        self._lines: BinaryIO = folder.examples.open("wb")
        self._index: BinaryIO = folder.index.open("wb")
        self.size = self.count = 0
        self._kinds = dict.fromkeys((PAIR, DESIRED, UNDESIRED, TEXT, CHOSEN_LONGER, REJECTED_LONGER), 0)

    def append(self, line: bytes, group: int, row: int, source: int = 0, flags: int = 0) -> None:
        """Append one row as JSON without a newline."""
        self._index.write(INDEX_ROW.pack(self.size, group, row, source, flags))
        self._lines.write(line + b"\n")
        if flags & ~SUSPICIOUS:
            for kind in self._kinds:
                self._kinds[kind] += bool(flags & kind)
        self.size += len(line) + 1
        self.count += 1

    @property
    def kinds(self) -> RowKinds:
        """What the rows written so far hold."""
        return RowKinds(**dict(zip(RowKinds.model_fields, self._kinds.values(), strict=True)))

    def close(self) -> None:
        self._lines.close()
        self._index.close()


class ExampleFile:
    """The rows of one dataset by position from 0, read on demand."""

    def __init__(self, folder: DatasetFolder) -> None:
        self.folder = folder
        self._count = folder.index.stat().st_size // INDEX_ROW.size
        self._index = _mapped(folder.index)
        self._lines = _mapped(folder.examples)

    def __len__(self) -> int:
        return self._count

    def entry(self, position: int) -> tuple[int, int, int, int, int]:
        """Return (offset, group, row, source, flags) of a row."""
        if not 0 <= position < self._count:
            raise IndexError(position)
        found: tuple[int, int, int, int, int] = INDEX_ROW.unpack_from(self._index, position * INDEX_ROW.size)
        return found

    def line(self, position: int) -> bytes:
        """A row's JSON."""
        start = self.entry(position)[0]
        end = self._lines.find(b"\n", start)
        return bytes(self._lines[start : end if end >= 0 else len(self._lines)])

    def __getitem__(self, position: int) -> Example:
        return Example.model_validate_json(self.line(position))

    def __iter__(self) -> Iterator[Example]:
        return (self[position] for position in range(self._count))

    def find(self, text: str, start: int) -> int | None:
        """Return the first position from `start` whose JSON contains `text`, or None."""
        from json import dumps

        if start >= self._count:
            return None
        needle = dumps(text, ensure_ascii=False)[1:-1].encode()
        at = self._lines.find(needle, self.entry(start)[0])
        return self._position_at(at) if at >= 0 else None

    def _position_at(self, offset: int) -> int:
        low, high = 0, self._count
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (middle, high) if self.entry(middle)[0] <= offset else (low, middle)
        return low


def _mapped(path: Path) -> Any:
    """Map the file into memory. An empty file can't be mapped, so return empty bytes for it."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
