"""Rows of a dataset's file are mended or taken out; the result is a new dataset, and the old one stays as it is."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from interfaces.folders import DatasetFolder, Home
from interfaces.problems import Code, FineTuneError
from trainer.dataset import add_dataset, file_kind, report_of
from trainer.inspection import Tell, say_nothing
from trainer.reading import Row, kind_of_file, open_data, read_rows

MOST_BYTES = 50_000_000
"""Larger files are mended with tools that are made for them."""


def edit_rows(
    home: Home, folder: DatasetFolder, changes: Mapping[int, str | None], tell: Tell = say_nothing
) -> DatasetFolder:
    """A dataset in which rows have another text, or with None are gone.

    Raises:
        FineTuneError: the dataset has no text file, it is too large, or there is no such row.
    """
    report = report_of(folder)
    source = file_kind(folder)
    if source is None or kind_of_file(source) == ".parquet":
        raise FineTuneError.of(Code.NOT_EDITABLE, path=report["name"], reason="it is no text file")
    with open_data(source) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise FineTuneError.of(
            Code.NOT_EDITABLE, path=report["name"], reason=f"it has more than {MOST_BYTES // 1_000_000} MB"
        )
    rows = {row.row: row for row in read_rows(source, report["sample_by"])}
    missing = next((row for row in changes if row not in rows or rows[row].offset is None), None)
    if missing is not None:
        raise FineTuneError.of(Code.ROW_NUMBER_UNKNOWN, path=report["name"], value=missing, rows=len(rows))
    in_array = kind_of_file(source) == ".json" and content[:100].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["
    for number in sorted(changes, reverse=True):
        content = _spliced(content, rows[number], changes[number], in_array)
    with tempfile.TemporaryDirectory(dir=home.cache) as place:
        path = Path(place) / ("rows" + kind_of_file(source))
        path.write_bytes(content)
        name = str(report["name"]).removesuffix(".gz")
        columns = report["columns"] if report["format"] == "mapped" else None
        return add_dataset(home, path, columns, report["sample_by"], name, tell)


def _spliced(content: bytes, row: Row, text: str | None, in_array: bool) -> bytes:
    start = row.offset or 0
    end = start + row.length
    old = content[start:end]
    core = old.rstrip()
    tail = old[len(core) :]
    if in_array and core.endswith(b","):  # a broken element reaches to the next one
        tail = b"," + tail
    if text is not None:
        # A row of a text file is one line, whatever was typed; inside of quotes and braces a break may stay.
        return content[:start] + text.strip().encode("utf-8", "replace") + tail + content[end:]
    if not in_array:
        return content[:start] + content[end:]
    rest = content[end:]
    if not tail.startswith(b",") and (comma := re.match(rb"\s*,\s*", rest)):
        return content[:start] + rest[comma.end() :]
    if tail.startswith(b","):
        return content[:start] + rest
    return re.sub(rb",\s*$", b"", content[:start]) + rest
