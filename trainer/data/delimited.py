"""Streams the rows of CSV and TSV files. Quoted cells may contain line breaks. No torch."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from interfaces.problems import Code, Problem
from trainer.data.rows import BOM, MOST_ROW_BYTES, NO_UTF8, Row, mismatch, open_data

_DELIMITERS = (",", ";", "\t", "|")
_EXCELS_OWN = re.compile(r"sep=(.)\s*$")


class _Lines:
    """The decoded lines of a file, with the start of the current row and the end of its first line."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.offset = self.line = 0
        self.row_offset = self.row_line = self.first_line_end = 0

    def begin_row(self) -> None:
        self.row_offset, self.row_line, self.first_line_end = self.offset, self.line + 1, 0

    def __iter__(self) -> Iterator[str]:
        while raw := self._file.readline(MOST_ROW_BYTES):
            if self.offset == 0 and raw.startswith(BOM):
                self.offset, raw = 3, raw[3:]
            self.offset += len(raw)
            self.line += 1
            self.first_line_end = self.first_line_end or self.offset
            yield raw.decode("utf-8", "surrogateescape")

    def back_to_second_line(self) -> None:
        """Go back to the end of the row's first line, because the lines after it may be other rows."""
        self._file.seek(self.first_line_end)
        self.offset, self.line = self.first_line_end, self.row_line


def delimited_rows(path: Path, kind: str) -> Iterator[Row]:
    """Yield the rows of a file with a header line.

    Raises:
        FineTuneError: the header isn't UTF-8, or two columns share a name, so that one would be lost.
    """
    csv.field_size_limit(MOST_ROW_BYTES)
    with open_data(path) as file:
        header_line = _first_line(file)
        delimiter = "\t" if kind == ".tsv" else max(_DELIMITERS, key=header_line.count)
        file.seek(0)
        lines = _Lines(file)
        if reported := _EXCELS_OWN.match(header_line):  # Excel's extra first line, which gives the delimiter
            delimiter = reported[1]
            next(iter(lines))
        lines.begin_row()
        try:
            cells = next(
                row for row in csv.reader(iter(lines), delimiter=delimiter, strict=True) if "".join(row).strip()
            )
            # A column may have no name, such as pandas' index or Excel's empty columns.
            header = [cell.strip() or f"column {number}" for number, cell in enumerate(cells, start=1)]
        except StopIteration:
            return
        except csv.Error as error:
            raise mismatch(path, "header_invalid", str(error)) from None
        if found := NO_UTF8.search("".join(header)):
            byte = f"0x{ord(found[0]) - 0xDC00:02x}"
            raise mismatch(path, "header_no_utf8", byte)
        twice = min((name for name, times in Counter(header).items() if times > 1), default=None)
        if twice is not None:
            raise mismatch(path, "columns_named_twice", repr(twice))
        yield from _data_rows(path.name, lines, header, delimiter)


def _first_line(file: IO[bytes]) -> str:
    """Return the first line with content. Excel writes an empty first row as delimiters only."""
    while raw := file.readline(MOST_ROW_BYTES):
        line = raw.removeprefix(BOM).decode("utf-8", "replace")
        if line.strip("".join(_DELIMITERS) + " \r\n"):
            return line
    return ""


def _data_rows(name: str, lines: _Lines, header: list[str], delimiter: str) -> Iterator[Row]:
    number = 0
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    while True:
        lines.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            reason = "quote_never_closed" if "unexpected end" in str(error) else str(error)
            if "field larger" in reason:
                reason = "quote_not_closed_soon"
            problem = Problem.error(Code.ROW_BROKEN_CSV, path=name, row=number, line=lines.row_line, reason=reason)
            lines.back_to_second_line()
            yield Row(number, lines.row_line, None, problem, lines.row_offset, lines.offset - lines.row_offset)
            reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
            continue
        if not cells:
            continue
        number += 1
        length = lines.offset - lines.row_offset
        problem_found = _row_problem(name, number, lines, cells, header)
        values: dict[str, object] | None = None if problem_found else dict(zip(header, cells, strict=True))
        yield Row(number, lines.row_line, values, problem_found, lines.row_offset, length)


def _row_problem(name: str, number: int, lines: _Lines, cells: list[str], header: list[str]) -> Problem | None:
    if len(cells) != len(header):
        return Problem.error(
            Code.ROW_COLUMNS, path=name, row=number, line=lines.row_line, value=len(cells), expected=len(header)
        )
    for field, cell in zip(header, cells, strict=True):
        if not cell.isascii() and (found := NO_UTF8.search(cell)):
            return Problem.error(
                Code.ROW_BAD_ENCODING, path=name, row=number, line=lines.row_line, field=field,
                value=f"0x{ord(found[0]) - 0xDC00:02x}", position=found.start(),
            )  # fmt: skip
    return None
