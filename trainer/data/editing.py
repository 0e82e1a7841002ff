"""Fixes or removes rows of a dataset's file. The result is a new dataset; the old one stays unchanged."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from interfaces.data_files import BINARIES
from interfaces.dataset_records import DatasetReport
from interfaces.errors import FineTuneError
from interfaces.folders import DatasetFolder, Home
from interfaces.problems import Code
from interfaces.trainer_jobs import OnProgress, ignore_progress
from trainer.data.dataset import add_dataset
from trainer.data.reading import check_file, json_form, kind_of_file, read_rows
from trainer.data.rows import Row, open_data

MOST_BYTES = 50_000_000
"""Larger files are better edited with other tools."""


def edit_rows(
    home: Home, folder: DatasetFolder, changes: Mapping[int, str | None], tell: OnProgress = ignore_progress
) -> DatasetFolder:
    """Create a dataset in which rows have a new text, or are removed if it is None.

    Raises:
        FineTuneError: the dataset has no text file or is too large, or a row doesn't exist.
    """
    report = DatasetReport.required(folder)
    source = folder.find_source()
    if source is None or kind_of_file(source) in BINARIES:
        raise FineTuneError.of(Code.NOT_EDITABLE, path=report.name, reason="no_text_file")
    with open_data(source) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise FineTuneError.of(Code.NOT_EDITABLE, path=report.name, reason="more_than_mb", seen=MOST_BYTES // 1_000_000)
    rows = {row.row: row for row in read_rows(source, report.sample_by)}
    missing = next((row for row in changes if row not in rows or rows[row].offset is None), None)
    if missing is not None:
        raise FineTuneError.of(Code.ROW_NUMBER_UNKNOWN, path=report.name, value=missing, rows=len(rows))
    kind, head = check_file(source)
    in_array = kind in (".json", ".jsonl", ".ndjson") and json_form(kind, head)[0] in ("array", "wrapped")
    texts = {
        number: None if text is None else text.strip().encode("utf-8", "replace") for number, text in changes.items()
    }
    content = _as_array(content, rows, texts) if in_array else _spliced(content, rows, texts)
    with tempfile.TemporaryDirectory(dir=home.cache) as place:
        path = Path(place) / ("rows" + kind_of_file(source))
        path.write_bytes(content)
        name = report.name.removesuffix(".gz")
        columns = report.columns if report.format == "mapped" else None
        return add_dataset(home, path, columns, report.sample_by, name, tell)


def _as_array(content: bytes, rows: Mapping[int, Row], texts: Mapping[int, bytes | None]) -> bytes:
    """Rebuild the array element by element, so that its commas and its end are always valid."""
    elements = []
    for number, row in rows.items():
        start = row.offset or 0
        # A broken element extends to the next one, including the comma between them.
        old = content[start : start + row.length].strip().removesuffix(b",").rstrip()
        text = texts.get(number, old)
        if text:
            elements.append(text)
    return b"[\n" + b",\n".join(elements) + b"\n]\n"


def _spliced(content: bytes, rows: Mapping[int, Row], texts: Mapping[int, bytes | None]) -> bytes:
    """Replace some rows without changing the others, from last to first, so that offsets stay valid."""
    for number in sorted(texts, reverse=True):
        start = rows[number].offset or 0
        end = start + len(content[start : start + rows[number].length].rstrip())
        text = texts[number]
        rest = content[end:] if text is not None else re.sub(rb"\A[ \t]*\r?\n?", b"", content[end:])
        content = content[:start] + (text or b"") + rest
    return content
