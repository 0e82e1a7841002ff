"""One row from a reader, and code shared by the readers of all file types. No torch."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from interfaces.errors import FineTuneError
from interfaces.problems import Code, Problem

MOST_ROW_BYTES = 1 << 25
"""Longer rows are not read, so that a missing line break can't fill the memory."""
BOM = b"\xef\xbb\xbf"
NO_UTF8 = re.compile("[\udc80-\udcff]")
"""How Python's decoder represents an invalid UTF-8 byte with `surrogateescape`."""
TOO_DEEP = "nested_too_deep"


@dataclass(slots=True)
class Row:
    """One row: its fields, or the problem that replaces them. `offset` and `length` are in bytes."""

    row: int
    line: int | None
    values: dict[str, object] | None
    problem: Problem | None = None
    offset: int | None = None
    length: int = 0
    cells: dict[str, str] | None = None
    """For a sheet: the cell of each field, such as A1."""


def open_data(path: Path) -> IO[bytes]:
    """Open the file's content as bytes, uncompressed if necessary."""
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def mismatch(path: Path, reason: str, seen: str = "") -> FineTuneError:
    return FineTuneError.of(Code.CONTENT_MISMATCH, path=path.name, suffix=path.suffix, reason=reason, seen=seen)


def as_row(name: str, number: int, line: int | None, values: Any, offset: int | None, raw: bytes) -> Row:
    """Create a row from JSON parsed from `raw`, which must be an object without duplicate keys."""
    where = {"path": name, "row": number, "line": line}
    if not isinstance(values, dict):
        problem = Problem.error(Code.ROW_NOT_OBJECT, value=kind_of(values), **where)
    elif (twice := _key_twice(raw, values)) is not None:
        problem = Problem.error(Code.ROW_KEY_TWICE, field=twice, **where)
    else:
        return Row(number, line, values, None, offset, len(raw))
    return Row(number, line, None, problem, offset, len(raw))


def _key_twice(raw: bytes, values: dict[str, object]) -> str | None:
    """Return a duplicate key of an object, of which a parser silently keeps the last, or None.

    Comparing the number of written and parsed keys is fast; only if they differ is the row parsed again.
    """
    written = raw.count(b'":') + raw.count(b'" :') - raw.count(b'\\":') - raw.count(b'\\" :')
    count, left = 0, [values]
    while left:
        one: Any = left.pop()
        if type(one) is dict:
            count += len(one)
            left.extend(one.values())
        elif type(one) is list:
            left.extend(one)
    if written == count:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        return next(iter(json_with_twice(raw)[1]), None)
    return None


def json_with_twice(text: str | bytes) -> tuple[Any, list[str]]:
    """Parse JSON, and return the value with the duplicate keys of its objects, of which a parser keeps the last.

    Raises:
        ValueError, RecursionError: the text isn't JSON, or is nested too deeply.
    """
    twice: list[str] = []

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, object]:
        twice.extend(first_twice(key for key, _ in pairs))
        return dict(pairs)

    return json.loads(text, object_pairs_hook=checked), twice


def first_twice(keys: Iterable[Any]) -> list[str]:
    """Return the duplicate keys in order."""
    return [str(key) for key, times in Counter(keys).items() if times > 1]


def too_much(error: Exception) -> str:
    """Return which of Python's limits an error comes from."""
    return TOO_DEEP if isinstance(error, RecursionError) else "too_many_digits"


def kind_of(value: Any) -> str:
    """Return the JSON name of a value's type."""
    names = {dict: "object", list: "list", str: "text", bool: "boolean", int: "number", float: "number"}
    return f"type_{names[type(value)]}" if type(value) in names else "null" if value is None else type(value).__name__


def without_nulls(value: Any) -> Any:
    """Remove null entries of objects at any depth, for all file types alike.

    Parquet gives every object of a column the keys of all objects, with nulls for missing ones. A null in the data
    can't be distinguished from a missing key, so null entries in JSON count as missing too. Nulls in lists stay.
    """
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
