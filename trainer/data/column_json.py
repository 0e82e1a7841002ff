"""Reads JSON that stores a table by columns, as pandas and datasets write it, instead of a list of rows. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from trainer.data.rows import Row, json_with_twice, mismatch, open_data, without_nulls

_BEGINS = re.compile(rb'\s*\{\s*"[^"]{1,200}"\s*:\s*[\[{]')
SPLITS = {"train", "training", "test", "validation", "valid", "dev", "eval"}
_MOST_BYTES = 100_000_000
"""Columns can't be streamed, so the whole file must fit in memory."""


def column_rows(path: Path, head: bytes) -> Iterator[Row] | None:
    """Yield the rows of a file that is one object of columns; None for other files. `head` is the start of the file.

    Supported are pandas' formats (`DataFrame.to_json` with orient columns, index, split, or table), lists of equal
    length by name, and one such table per split.

    Raises:
        FineTuneError: such a file is too large to convert, or has a duplicate column or several splits.
    """
    line, _, rest = head.lstrip().partition(b"\n")
    if not _BEGINS.match(head) or (line.rstrip().endswith(b"}") and rest.strip()):
        return None
    with open_data(path) as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        if re.match(rb'\s*\{\s*"[^"]{1,200}"\s*:\s*\{\s*"\d+"\s*:', head):
            raise mismatch(path, "columns_too_large")
        return None
    try:
        table, twice = json_with_twice(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None  # several objects, or a broken one: the row reader reports it
    rows = _rows_of(table) or _only_split(path, table)
    if rows and twice:
        raise mismatch(path, "key_twice", repr(twice[0][:40]))
    return None if rows is None else (Row(number, None, without_nulls(row)) for number, row in enumerate(rows, start=1))


def _only_split(path: Path, table: Any) -> list[dict[str, object]] | None:
    """Return the rows of the only split in a table of splits."""
    if not isinstance(table, dict) or not table or not {str(name).lower() for name in table} <= SPLITS:
        return None
    splits = {name: _records(part) or _rows_of(part) for name, part in table.items()}
    if not all(splits.values()):
        return None
    if len(splits) > 1:
        raise FineTuneError.of(Code.FILE_SPLITS, path=path.name, value=list(splits)[1])
    return next(iter(splits.values()))


def _records(part: Any) -> list[dict[str, object]] | None:
    return part if isinstance(part, list) and part and all(isinstance(row, dict) for row in part) else None


def _rows_of(table: Any) -> list[dict[str, object]] | None:
    if not isinstance(table, dict) or not table:
        return None
    columns, values = list(table), list(table.values())
    if {"columns", "data"} <= set(table) <= {"columns", "index", "data"}:
        return _split_rows(table["columns"], table["data"])
    if set(table) == {"schema", "data"}:
        return _records(table["data"])
    if all(isinstance(column, list) for column in values):
        lengths = {len(column) for column in values}
        # A list of objects is a conversation, the turns of one row, and not a column.
        if len(lengths) != 1 or any(isinstance(cell, dict) for column in values for cell in column):
            return None
        return [dict(zip(columns, cells, strict=True)) for cells in zip(*values, strict=True)]
    if not all(isinstance(column, dict) and column for column in values):
        return None
    if all(name.isdigit() for name in columns):
        return values
    index = list(values[0])
    by_name = (
        len(columns) > 1 and len(index) > 1 and not any(isinstance(cell, dict | list) for cell in values[0].values())
    )
    if (by_name or all(name.isdigit() for name in index)) and all(list(column) == index for column in values):
        return [{name: table[name][number] for name in columns} for number in index]
    return None


def _split_rows(columns: Any, data: Any) -> list[dict[str, object]] | None:
    """Read pandas' orient split: the column names, and a list of cells per row."""
    if not isinstance(columns, list) or not isinstance(data, list) or not all(isinstance(one, str) for one in columns):
        return None
    if not all(isinstance(row, list) and len(row) == len(columns) for row in data):
        return None
    return [dict(zip(columns, row, strict=True)) for row in data]
