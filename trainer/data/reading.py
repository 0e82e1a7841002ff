"""Reads the rows of a data file, each with its row number, line, and byte offset. No torch.

Files are untrusted: the suffix is compared with the content, each line is decoded separately, and unreadable rows
become Problems with their position instead of exceptions. Files are streamed, so their size doesn't matter. Offsets
in compressed files refer to the uncompressed content.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import orjson

from interfaces.data_files import DATABASES, KINDS, SUFFIXES, WORKBOOKS
from interfaces.errors import FineTuneError
from interfaces.problems import Code, Problem
from trainer.data.column_json import column_rows
from trainer.data.delimited import delimited_rows
from trainer.data.json_array import array_rows
from trainer.data.rows import BOM, MOST_ROW_BYTES, Row, as_row, mismatch, open_data, too_much, without_nulls
from trainer.data.tables import SQLITE_MAGIC, check_table_file, database_rows, workbook_rows

_SCALARS = rb'(?:\s*"[^"]{1,80}"\s*:\s*(?:"[^"]*"|[^\[\]{},"]+)\s*,)*'
_WRAPPED = re.compile(
    rb"\s*\{"
    + _SCALARS
    + rb'\s*"(data|rows|train|examples|items|records|instances|samples|test|validation|valid|dev|eval)"\s*:\s*\[\s*[{\]]'
)
"""An object with its rows under a common key, possibly after others such as a version."""
_PARQUET_MAGIC = b"PAR1"
_HEAD_BYTES = 1 << 16


def read_rows(path: Path, sample_by: str = "paragraph") -> Iterator[Row]:
    """Yield the rows of a file in order.

    `sample_by` is the unit of plain text (paragraph, line, document), the sheet of a workbook, or a database table.

    Raises:
        FineTuneError: the file can't be used as a whole (missing, empty, or not of the type of its suffix).
    """
    kind, head = check_file(path)
    if kind == ".parquet":
        return _parquet_rows(path)
    if kind in (*WORKBOOKS, *DATABASES):
        return (workbook_rows if kind in WORKBOOKS else database_rows)(path, sample_by)
    if kind == ".txt":
        return _guarded(path, _text_rows(path, sample_by))
    if kind in (".csv", ".tsv"):
        return _guarded(path, delimited_rows(path, kind))
    if (table := column_rows(path, head)) is not None:
        return table
    form, start = json_form(kind, head)
    return _guarded(path, _jsonl_rows(path) if form == "lines" else array_rows(path, start, form))


def json_form(kind: str, head: bytes) -> tuple[Literal["lines", "array", "wrapped", "bare"], int]:
    """Detect the layout of a JSON file and the offset of its first row, from the content, since all may be named .json.

    lines (one per line), array, wrapped (an array in an object), bare (objects that span several lines)
    """
    if head.lstrip().startswith(b"[") and not (kind != ".json" and _first_line_is_whole(head)):
        return "array", head.index(b"[") + 1
    if wrapped := _WRAPPED.match(head):
        return "wrapped", head.index(b"[", wrapped.start(1)) + 1
    return ("bare" if _goes_over_lines(head) else "lines"), 0


def _first_line_is_whole(head: bytes) -> bool:
    """Return whether the first line is complete JSON and others follow: a row that is a list, not an open array."""
    line, end, rest = head.lstrip().partition(b"\n")
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return bool(end and rest.strip())


def _goes_over_lines(head: bytes) -> bool:
    """Return whether an object spans several lines: the first isn't complete JSON, the second starts no object."""
    lines = [line for line in head.splitlines()[:50] if line.strip()]
    try:
        orjson.loads(lines[0])
    except orjson.JSONDecodeError:
        return lines[0].lstrip().startswith(b"{") and len(lines) > 1 and not lines[1].lstrip().startswith(b"{")
    return False


def kind_of_file(path: Path) -> str:
    """Return the suffix that determines the type of a file: for `rows.jsonl.gz` it is `.jsonl`."""
    name = path.name.lower().removesuffix(".gz")
    return "." + name.rpartition(".")[2] if "." in name else ""


def check_file(path: Path) -> tuple[str, bytes]:
    """Return the type and first bytes of a file, after checking that it exists, isn't empty, and is plausible.

    Raises:
        FineTuneError: a check fails.
    """
    kind = kind_of_file(path)
    try:
        with path.open("rb") as file:
            packed = file.read(4)
        if packed and kind in KINDS and path.name.lower().endswith(".gz") and packed[:2] != b"\x1f\x8b":
            raise mismatch(path, "not_compressed")
        with open_data(path) as opened:
            head = opened.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise FineTuneError.of(Code.FILE_MISSING, path=str(path)) from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise mismatch(path, "damaged_archive") from None
    except OSError as error:
        raise FineTuneError.of(Code.FILE_UNREADABLE, path=str(path), reason=error.strerror or str(error)) from None
    if kind not in KINDS:
        raise FineTuneError.of(Code.SUFFIX_UNKNOWN, path=path.name, suffix=kind, known=list(SUFFIXES))
    if not head.removeprefix(BOM).strip():
        raise FineTuneError.of(Code.FILE_EMPTY, path=path.name)
    _check_content(path, kind, head)
    return kind, head.removeprefix(BOM) if kind in (".json", ".jsonl", ".ndjson") else head


def _check_content(path: Path, kind: str, head: bytes) -> None:
    if kind == ".parquet":
        if not head.startswith(_PARQUET_MAGIC):
            raise mismatch(path, "no_parquet")
        if path.name.lower().endswith(".gz"):
            raise mismatch(path, "parquet_in_archive")
        return
    if kind in (*WORKBOOKS, *DATABASES):
        if path.name.lower().endswith(".gz"):
            raise mismatch(path, "table_in_archive")
        check_table_file(path, kind, head)
        return
    if head.startswith(_PARQUET_MAGIC):
        raise mismatch(path, "is_parquet")
    if head.startswith(SQLITE_MAGIC):
        raise mismatch(path, "is_sqlite")
    if (
        head[:2] == b"\x1f\x8b"
        or head[:4] in (b"PK\x03\x04", b"(\xb5/\xfd")
        or head[:3] == b"BZh"
        or head[:5] == b"\xfd7zXZ"
    ):
        raise mismatch(path, "is_archive")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise mismatch(path, "is_utf16")
    if head.startswith(b"%PDF"):
        raise mismatch(path, "is_pdf")
    if kind not in (".json", ".parquet") and b"\r" in head[:-1] and b"\n" not in head:
        raise mismatch(path, "cr_lines")
    # A few NULs may be mistakes inside rows, which get their own problems; many mean another file type.
    if head.count(b"\0") > max(len(head) // 100, 3):
        raise mismatch(path, "nul_bytes")
    start = head.removeprefix(BOM).lstrip()[:1]
    if kind in (".json", ".jsonl", ".ndjson") and start not in (b"[", b"{") and b"{" not in head:
        raise mismatch(path, "starts_with", repr(head.lstrip()[:20].decode("utf-8", "replace")))
    if kind in (".csv", ".tsv") and start in (b"[", b"{"):
        raise mismatch(path, "is_json")


def _guarded(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    """Convert an error in the middle of a compressed file to a problem."""
    try:
        yield from rows
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise mismatch(path, "archive_cut_off") from None


def _jsonl_rows(path: Path) -> Iterator[Row]:
    """Yield one JSON object per line. Blank lines are skipped."""
    number = line = offset = 0
    with open_data(path) as file:
        while raw := file.readline(MOST_ROW_BYTES):
            line += 1
            start, length = offset, len(raw)
            too_long = length == MOST_ROW_BYTES and not raw.endswith(b"\n")
            while too_long and (more := file.readline(MOST_ROW_BYTES)):
                length += len(more)
                if more.endswith(b"\n"):
                    break
            offset += length
            if line == 1 and raw.startswith(BOM):
                raw, start, length = raw[3:], 3, length - 3
            if not too_long and not raw.strip():
                continue
            number += 1
            if too_long:
                problem = Problem.error(
                    Code.ROW_TOO_LARGE, path=path.name, row=number, line=line, size=length, limit=MOST_ROW_BYTES
                )
                yield Row(number, line, None, problem, start, length)
            else:
                yield _json_row(path.name, number, line, raw, start)


def _json_row(name: str, number: int, line: int, raw: bytes, offset: int) -> Row:
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError:
        # The slower parser describes the error, and accepts NaN, which other tools write.
        values = _parsed(name, number, line, raw)
    if isinstance(values, Problem):
        return Row(number, line, None, values, offset, len(raw))
    return as_row(name, number, line, values, offset, raw)


def _parsed(name: str, number: int, line: int, raw: bytes) -> Any:
    where = {"path": name, "row": number, "line": line}
    try:
        return json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        byte = f"0x{raw[error.start]:02x}"
        return Problem.error(Code.ROW_BAD_ENCODING, value=byte, position=error.start, **where)
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else too_much(error)
        return Problem.error(Code.ROW_BROKEN_JSON, reason=reason, **where)


def _text_rows(path: Path, sample_by: str) -> Iterator[Row]:
    """Yield plain text by paragraph (ended by a blank line), by line, or as one document."""
    number = line = offset = 0
    block: list[bytes] = []
    block_line = block_offset = size = 0
    with open_data(path) as file:
        while True:
            raw = file.readline(MOST_ROW_BYTES)
            line += 1
            if line == 1:
                offset = 3 if raw.startswith(BOM) else 0
                raw = raw.removeprefix(BOM)
            ends = not raw or (sample_by == "paragraph" and not raw.strip())
            if block and (ends or sample_by == "line" or size >= MOST_ROW_BYTES):
                number += 1
                yield _text_row(path.name, number, block_line, b"".join(block), block_offset)
                block, size = [], 0
            if not raw:
                return
            if raw.strip() or (block and sample_by == "document"):
                if not block:
                    block_line, block_offset = line, offset
                block.append(raw)
                size += len(raw)
            offset += len(raw)


def _text_row(name: str, number: int, line: int, raw: bytes, offset: int) -> Row:
    try:
        return Row(number, line, {"text": raw.decode("utf-8").strip("\r\n")}, None, offset, len(raw))
    except UnicodeDecodeError as error:
        line += raw.count(b"\n", 0, error.start)
        value = f"0x{raw[error.start]:02x}"
        problem = Problem.error(
            Code.ROW_BAD_ENCODING, path=name, row=number, line=line, value=value, position=error.start
        )
        return Row(number, line, None, problem, offset, len(raw))


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    try:
        number = 0
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=500):
            batch.validate(full=True)
            for values in batch.to_pylist():
                number += 1
                yield Row(number, None, {name: without_nulls(value) for name, value in values.items()})
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise mismatch(path, (str(error).splitlines() or ["is_damaged"])[0]) from None
