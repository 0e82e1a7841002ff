"""Reads sheets of a workbook (Excel, LibreOffice) and tables of a SQLite database as rows. No torch.

One sheet or table is read; a file with several needs a name. A cell becomes its displayed text: a formula's cached
value, a date in ISO 8601, a whole number without a decimal point. pandas reads workbooks with calamine, which only this
module imports.
"""

from __future__ import annotations

import datetime
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from interfaces.data_files import DATABASES
from interfaces.errors import FineTuneError
from interfaces.problems import Code
from trainer.data.rows import Row, first_twice, mismatch

SQLITE_MAGIC = b"SQLite format 3\0"
WHOLE = "paragraph"
"""The default of `sample_by`, which means that no sheet or table was chosen."""
MOST_UNPACKED = 300_000_000
"""The most bytes that the parts of a workbook may unpack to, because they are in memory."""
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


def check_table_file(path: Path, kind: str, head: bytes) -> None:
    """
    Raises:
        FineTuneError: the content isn't of this type, is protected, or would unpack to too much.
    """
    if kind in DATABASES:
        if not head.startswith(SQLITE_MAGIC):
            raise mismatch(path, "no_sqlite")
        return
    if kind == ".xls":
        if not head.startswith(_OLE):
            raise mismatch(path, "no_xls")
        return
    if head.startswith(_OLE):
        raise mismatch(path, "protected_or_xls")
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (zipfile.BadZipFile, OSError):
        raise mismatch(path, "no_workbook") from None
    if unpacked > MOST_UNPACKED:
        raise FineTuneError.of(Code.UNPACKS_TOO_LARGE, path=path.name, size=unpacked, limit=MOST_UNPACKED)


def workbook_rows(path: Path, sheet: str = WHOLE) -> Iterator[Row]:
    """Yield the rows of a sheet below its header, the first nonblank row. `line` is the row number in the sheet.

    Raises:
        FineTuneError: the workbook is damaged, has several sheets and none was chosen, or has duplicate column names.
    """
    import pandas
    from python_calamine import CalamineError

    try:
        book = pandas.ExcelFile(path, engine="calamine")
        names = [str(name) for name in book.sheet_names]
        sheets = {
            name: pandas.read_excel(book, sheet_name=name, header=None, dtype=object, na_filter=False)
            for name in ([sheet] if sheet in names else names)
        }
    except (CalamineError, ValueError, OSError, KeyError, IndexError) as error:
        raise mismatch(path, (str(error).splitlines() or ["is_damaged"])[0][:200]) from None
    chosen = _chosen(path, [name for name in sheets if not sheets[name].empty], names, sheet)
    cells = [[_as_text(cell) for cell in row] for row in sheets[chosen].to_numpy().tolist()]
    begin = next((number for number, row in enumerate(cells) if _said(row)), 0)
    header = _header(path, cells[begin], cells[begin + 1 :])
    number = 0
    for line, row in enumerate(cells[begin + 1 :], start=begin + 2):
        if not _said(row):
            continue
        number += 1
        values: dict[str, object] = {name: row[column] or "" for column, name in header.items()}
        yield Row(number, line, values, cells={name: f"{_letters(column)}{line}" for column, name in header.items()})


def database_rows(path: Path, table: str = WHOLE) -> Iterator[Row]:
    """Yield the rows of a table. The file is opened as immutable, and nothing in it is executed: no view, no module.

    Raises:
        FineTuneError: the database is damaged, or has several tables and none was chosen.
    """
    database = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)
    database.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        plain = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        names = [str(name) for (name,) in database.execute(plain)]
        chosen = _chosen(path, names, names, table)
        quoted = chosen.replace('"', '""')  # one of the database's own table names
        found = database.execute(f'SELECT * FROM "{quoted}"')  # noqa: S608
        columns = [description[0] for description in found.description]
        for number, row in enumerate(found, start=1):
            values = {
                name: cell if isinstance(cell, bytes) else _as_text(cell)
                for name, cell in zip(columns, row, strict=True)
            }
            yield Row(number, None, {name: cell for name, cell in values.items() if cell is not None})
    except sqlite3.DatabaseError as error:
        raise mismatch(path, str(error)) from None
    finally:
        database.close()


def _chosen(path: Path, filled: list[str], names: list[str], wanted: str) -> str:
    if wanted in names:
        return wanted
    if wanted != WHOLE or len(filled) > 1:
        raise FineTuneError.of(Code.TABLE_CHOICE, path=path.name, known=[name[:80] for name in filled or names][:50])
    if not filled:
        raise FineTuneError.of(Code.FILE_EMPTY, path=path.name)
    return filled[0]


def _header(path: Path, names: list[str | None], rows: list[list[str | None]]) -> dict[int, str]:
    """Return the columns by index: named ones, and unnamed ones that have content."""
    header = {}
    for column, name in enumerate(names):
        if name and name.strip():
            header[column] = name.strip()
        elif any(row[column] for row in rows):
            header[column] = f"column {_letters(column)}"
    twice = first_twice(header.values())
    if twice:
        raise mismatch(path, "columns_named_twice", repr(twice[0]))
    return header


def _said(row: list[str | None]) -> bool:
    return any(cell and cell.strip() for cell in row)


def _letters(column: int) -> str:
    """Return a column's spreadsheet name: A, B, ..., Z, AA."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _as_text(cell: Any) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return cell.date().isoformat()
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return str(cell)
