"""Rows of a data file, each with its row number and line. JSON, JSONL, CSV and Parquet; no torch.

The file is trusted in nothing: its suffix is compared with its content, each line is decoded by
itself, and what can't be read becomes a Problem with the line, not an exception in the middle.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interfaces.problems import Code, FineTuneError, Problem

SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")
_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Row:
    """One row as found: its fields, or the problem that stands in their place."""

    row: int
    line: int | None
    values: dict[str, Any] | None
    problem: Problem | None = None


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, in order.

    Raises:
        FineTuneError: the file as a whole can't be used (missing, empty, not what its suffix says).
    """
    suffix = path.suffix.lower()
    head = _check_file(path, suffix)
    if suffix == ".parquet":
        return _parquet_rows(path)
    if suffix == ".csv":
        return _csv_rows(path)
    # JSON and JSONL are told apart by content, since people name both .json.
    if suffix == ".json" and head.lstrip().startswith(b"["):
        return _json_array_rows(path)
    return _jsonl_rows(path)


def _check_file(path: Path, suffix: str) -> bytes:
    """The first bytes of a file that is there, not empty, and plausibly of its kind."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except FileNotFoundError:
        raise FineTuneError.of(Code.FILE_MISSING, path=str(path)) from None
    except OSError as error:
        raise FineTuneError.of(Code.FILE_UNREADABLE, path=str(path), reason=error.strerror or str(error)) from None
    if suffix not in SUFFIXES:
        raise FineTuneError.of(Code.SUFFIX_UNKNOWN, path=path.name, suffix=suffix, known=list(SUFFIXES))
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise FineTuneError.of(Code.FILE_EMPTY, path=path.name)
    if suffix == ".parquet" and not head.startswith(_PARQUET_MAGIC):
        raise _mismatch(path, "it does not start with PAR1")
    if suffix != ".parquet":
        if head.startswith(_PARQUET_MAGIC):
            raise _mismatch(path, "it is a Parquet file")
        if head[:2] == b"\x1f\x8b" or head[:4] == b"PK\x03\x04":
            raise _mismatch(path, "it is a compressed archive")
        if b"\0" in head:
            raise _mismatch(path, "it holds NUL bytes, as binary and UTF-16 files do")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if suffix in (".json", ".jsonl") and start not in (b"[", b"{"):
        raise _mismatch(path, f"it starts with {head.lstrip()[:20].decode('utf-8', 'replace')!r}, not with {{ or [")
    if suffix == ".csv" and start in (b"[", b"{"):
        raise _mismatch(path, "it holds JSON")
    return head.removeprefix(b"\xef\xbb\xbf")


def _mismatch(path: Path, reason: str) -> FineTuneError:
    return FineTuneError.of(Code.CONTENT_MISMATCH, path=path.name, suffix=path.suffix, reason=reason)


def _jsonl_rows(path: Path) -> Iterator[Row]:
    """One JSON object a line. Blank lines are no rows."""
    number = 0
    with path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            raw = raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
            if not raw.strip():
                continue
            number += 1
            yield _json_row(path, number, line, raw)


def _json_row(path: Path, number: int, line: int, raw: bytes) -> Row:
    where = {"path": path.name, "row": number, "line": line}
    try:
        values = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        byte = f"0x{raw[error.start]:02x}"
        return Row(number, line, None, Problem.error(Code.ROW_BAD_ENCODING, value=byte, position=error.start, **where))
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else _too_much(error)
        return Row(number, line, None, Problem.error(Code.ROW_BROKEN_JSON, reason=reason, **where))
    if not isinstance(values, dict):
        return Row(number, line, None, Problem.error(Code.ROW_NOT_OBJECT, value=kind_of(values), **where))
    return Row(number, line, values)


def _json_array_rows(path: Path) -> Iterator[Row]:
    """The elements of one JSON array, each with the line on which it starts."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = Problem.error(
            Code.ROW_BAD_ENCODING, path=path.name, row=None, line=line,
            value=f"0x{raw[error.start]:02x}", position=error.start,
        )  # fmt: skip
        raise FineTuneError(problem) from None
    decoder = json.JSONDecoder()
    position, number, line, counted = text.index("[") + 1, 0, 1, 0
    while True:
        position = _skip_blank(text, position)
        if position < len(text) and text[position] == "]":
            rest = _skip_blank(text, position + 1)
            if rest < len(text):  # a second array, or anything else: nothing of it may be lost in silence
                line += text.count("\n", counted, rest)
                where = {"path": path.name, "row": number + 1, "line": line}
                yield Row(
                    number + 1,
                    line,
                    None,
                    Problem.error(Code.ROW_BROKEN_JSON, reason="text after the end of the array", **where),
                )
            return
        line, counted = line + text.count("\n", counted, position), position
        number += 1
        where = {"path": path.name, "row": number, "line": line}
        try:
            values, position = decoder.raw_decode(text, position)
            position = _skip_blank(text, position)
            if position < len(text) and text[position] == ",":
                position += 1
            elif position >= len(text) or text[position] != "]":
                raise json.JSONDecodeError("expected ',' or ']' after the row", text, position)
        except (ValueError, RecursionError) as error:
            # After a broken element it isn't known where the next one starts.
            reason = _too_much(error)
            if isinstance(error, json.JSONDecodeError):
                reason = f"{error.msg}, line {error.lineno} column {error.colno}"
            yield Row(number, line, None, Problem.error(Code.ROW_BROKEN_JSON, reason=reason, **where))
            return
        if isinstance(values, dict):
            yield Row(number, line, values)
        else:
            yield Row(number, line, None, Problem.error(Code.ROW_NOT_OBJECT, value=kind_of(values), **where))


def _skip_blank(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _csv_rows(path: Path) -> Iterator[Row]:
    """Rows of a CSV with a header; a cell may hold line breaks inside quotes."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        value = f"0x{raw[error.start]:02x}"
        raise FineTuneError.of(
            Code.ROW_BAD_ENCODING, path=path.name, row=None, line=line, value=value, position=error.start
        ) from None
    csv.field_size_limit(max(csv.field_size_limit(), 1 << 26))
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader)
    line, number = reader.line_num + 1, 0
    try:
        for cells in reader:
            start, line = line, reader.line_num + 1
            if not cells:
                continue
            number += 1
            if len(cells) != len(header):
                problem = Problem.error(
                    Code.ROW_COLUMNS, path=path.name, row=number, line=start, value=len(cells), expected=len(header)
                )
                yield Row(number, start, None, problem)
            else:
                yield Row(number, start, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise _mismatch(path, f"line {reader.line_num}: {error}") from None


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        number = 0
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=1000):
            batch.validate(full=True)
            for values in batch.to_pylist():
                number += 1
                yield Row(number, None, values)
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _mismatch(path, str(error).splitlines()[0]) from None


def _too_much(error: Exception) -> str:
    """What Python's own limits refuse."""
    return "nested too deep" if isinstance(error, RecursionError) else "a number with too many digits"


def kind_of(value: Any) -> str:
    """A value's type in JSON's words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null" if value is None else type(value).__name__)
