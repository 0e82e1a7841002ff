"""One row as a reader found it, and what the readers of all kinds of files share. No torch."""

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
"""A longer row is not read: a missing line break must not fill the memory."""
BOM = b"\xef\xbb\xbf"
NO_UTF8 = re.compile("[\udc80-\udcff]")
"""What Python's decoder makes of a byte that is no UTF-8, when asked to go on (surrogateescape)."""
TOO_DEEP = "nested_too_deep"


@dataclass(slots=True)
class Row:
    """One row as found: its fields, or the problem that stands in their place. `offset` and `length` in bytes."""

    row: int
    line: int | None
    values: dict[str, object] | None
    problem: Problem | None = None
    offset: int | None = None
    length: int = 0
    cells: dict[str, str] | None = None
    """Of a sheet: where each field stands, as A1."""


def open_data(path: Path) -> IO[bytes]:
    """The file's content as bytes, unpacked where it is compressed."""
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def mismatch(path: Path, reason: str, seen: str = "") -> FineTuneError:
    return FineTuneError.of(Code.CONTENT_MISMATCH, path=path.name, suffix=path.suffix, reason=reason, seen=seen)


def as_row(name: str, number: int, line: int | None, values: Any, offset: int | None, raw: bytes) -> Row:
    """A row of JSON that has been parsed from `raw`: it has to be an object, with each key once."""
    where = {"path": name, "row": number, "line": line}
    if not isinstance(values, dict):
        problem = Problem.error(Code.ROW_NOT_OBJECT, value=kind_of(values), **where)
    elif (twice := _key_twice(raw, values)) is not None:
        problem = Problem.error(Code.ROW_KEY_TWICE, field=twice, **where)
    else:
        return Row(number, line, values, None, offset, len(raw))
    return Row(number, line, None, problem, offset, len(raw))


def _key_twice(raw: bytes, values: dict[str, object]) -> str | None:
    """A key that stands twice in one object, of which a parser keeps the last in silence; None where there is none.

    Keys as written and as parsed are counted, which is quick; only where the counts differ the row is parsed once more.
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
    """What a text says as JSON, and the keys that stand twice in one of its objects, of which a parser keeps the last.

    Raises:
        ValueError, RecursionError: it is no JSON, or nested too deep.
    """
    twice: list[str] = []

    def checked(pairs: list[tuple[str, Any]]) -> dict[str, object]:
        twice.extend(first_twice(key for key, _ in pairs))
        return dict(pairs)

    return json.loads(text, object_pairs_hook=checked), twice


def first_twice(keys: Iterable[Any]) -> list[str]:
    """The keys that stand more than once, in their order."""
    return [str(key) for key, times in Counter(keys).items() if times > 1]


def too_much(error: Exception) -> str:
    """What Python's own limits refuse."""
    return TOO_DEEP if isinstance(error, RecursionError) else "too_many_digits"


def kind_of(value: Any) -> str:
    """A value's type in JSON's words."""
    names = {dict: "object", list: "list", str: "text", bool: "boolean", int: "number", float: "number"}
    return f"type_{names[type(value)]}" if type(value) in names else "null" if value is None else type(value).__name__


def without_nulls(value: Any) -> Any:
    """A value without the null entries of its objects, at any depth: one rule for all kinds of files.

    Parquet gives each object of a column all keys that any has, null where it had none: what was null in the data can't be
    told from what wasn't there, so in JSON a null entry is not there either. Nulls in lists stay.
    """
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
