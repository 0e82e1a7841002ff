"""Reads a file once to its end. Every row becomes an example or a problem, and everything is counted. No torch."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from interfaces.data_files import BINARIES
from interfaces.dataset_records import DatasetReport, RowProblem
from interfaces.errors import FineTuneError
from interfaces.example import Example, Message
from interfaces.example_file import SUSPICIOUS, ExampleFile, ExampleWriter, RowKinds, flags_of
from interfaces.folders import DatasetFolder
from interfaces.problems import Code, Problem
from interfaces.trainer_jobs import FormatPreview, JobProgress, OnProgress, ignore_progress
from trainer.data.formats import Shape, chosen_shape, detect_shape, example_of, with_late_columns
from trainer.data.limits import written_bytes
from trainer.data.preferences import LABELS
from trainer.data.reading import read_rows
from trainer.data.rows import Row, open_data

SHOWN_PROBLEMS = 20
SHOWN_ROWS = 20
_FIRST_ROWS = 100
"""The number of rows used to detect the format and to show a preview."""
_MOST_COLUMNS = 1000
_MOST_KEYS = 50
_EXCERPT = 400
_EXCERPTS = 10_000
_TELL_SECONDS = 0.2


class Inspection:
    """One pass over one file. `folder` gets examples, index and problems; the report is returned."""

    def __init__(
        self, source: Path, folder: DatasetFolder, columns: Mapping[str, str] | None = None,
        sample_by: str = "paragraph", tell: OnProgress = ignore_progress, name: str = "", trained: Mapping[int, int] | None = None,
    ) -> None:  # fmt: skip
        """Create an inspection. `trained` maps the groups of training rows to their rows; equal rows here are leaks."""
        self._trained = trained or {}
        self.source, self.folder, self.name = source, folder, name or source.name
        self._columns, self._sample_by, self._tell = columns, sample_by, tell
        self._shape: Shape | None = None
        self._seen_columns: dict[str, None] = {}
        self._unused_keys: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._kinds_invalid: Counter[str] = Counter()
        self._first: list[RowProblem] = []
        self._seen: dict[int, int] = {}
        self._problem_lines = 0
        self._updated = 0.0

    def run(self) -> DatasetReport:
        """Read everything.

        Raises:
            FineTuneError: the file as a whole can't be used.
        """
        rows = read_rows(self.source, self._sample_by)
        first = self._begin(rows)
        self.folder.path.mkdir(parents=True, exist_ok=True)
        writer = ExampleWriter(self.folder)
        with self.folder.problems.open("wb") as problems, Quoted(self.source) as raw:
            counts = self._read(itertools.chain(first, rows), writer, problems, raw)
        writer.close()
        shape, columns = self._shape, list(self._seen_columns)
        report = {
            "name": self.name,
            "format": shape.name if shape else None,
            "columns": dict(shape.columns) if shape else {},
            "known_columns": columns,
            "unused_columns": self._unused(shape, writer.kinds),
            "unused_keys": dict(self._unused_keys.most_common(_MOST_KEYS)),
            "sample_by": self._sample_by,
            **counts,
            "usable": writer.count,
            "holds": writer.kinds.model_dump(),
            "kinds": dict(self._kinds.most_common()),
            "kinds_invalid": dict(self._kinds_invalid),
            "first": [one.model_dump(mode="json") for one in self._first],
            "bytes": self.source.stat().st_size,
            "sources": [self.name],
        }
        return DatasetReport.model_validate_json(as_json(report))

    def _unused(self, shape: Shape | None, holds: RowKinds) -> list[str]:
        judged = LABELS if holds.desired or holds.undesired else set()
        return [one for one in self._seen_columns if shape and one not in shape.columns.values() and one not in judged]

    def preview(self) -> None:
        """Send a preview of the first rows before reading the whole file.

        Raises:
            FineTuneError: the file can't be used as a whole.
        """
        first = self._begin(read_rows(self.source, self._sample_by))
        if self._shape is not None:
            self._tell(JobProgress(preview=_preview(self._shape, list(self._seen_columns), first, self.name)))

    def example_at(self, number: int) -> Example:
        """Return one row by its number, without reading beyond it.

        Raises:
            FineTuneError: the file can't be used, the row doesn't exist, or it is invalid.
        """
        rows = read_rows(self.source, self._sample_by)
        count = 0
        for row in itertools.chain(self._begin(rows), rows):
            count = row.row
            if row.values is not None and not self._seen_columns.keys() >= row.values.keys():
                self._notice_columns(row.values)
            if row.row == number:
                example, problems = self._example_of(row)
                if example is None:
                    raise FineTuneError(*problems)
                return example
        raise FineTuneError.of(Code.ROW_NUMBER_UNKNOWN, path=self.name, value=number, rows=count)

    def _example_of(self, row: Row) -> tuple[Example | None, list[Problem]]:
        if self._shape is not None:
            return example_of(row, self._shape, self.name, self._unused_keys)
        where = {"path": self.name, "row": row.row, "line": row.line}
        return None, [row.problem or Problem.error(Code.ROW_NOT_OBJECT, value="null", **where)]

    def _begin(self, rows: Iterator[Row]) -> list[Row]:
        first = list(itertools.islice(rows, _FIRST_ROWS))
        if not first:
            raise FineTuneError.of(Code.FILE_EMPTY, path=self.name)
        found = [row.values for row in first if row.values is not None]
        # If all first rows are broken, their own problems are enough.
        if found:
            self._detect(found)
        return first

    def _detect(self, found: list[dict[str, object]]) -> None:
        self._seen_columns = dict.fromkeys(str(column) for values in found for column in values)
        if self._columns:
            self._shape = chosen_shape(self._columns, self._seen_columns, self.name)
        else:
            self._shape = detect_shape(found, self.name)

    def _notice_columns(self, values: dict[str, object]) -> None:
        """Track columns that appear late. The format uses one that it can from that row on; the report lists all."""
        if self._shape is None:
            self._detect([values])
        elif len(self._seen_columns) < _MOST_COLUMNS:
            self._seen_columns |= dict.fromkeys(str(column) for column in values)
            if not self._columns:
                self._shape = with_late_columns(self._shape, self._seen_columns)

    def _read(
        self, rows: Iterator[Row], writer: ExampleWriter, problems: BinaryIO, raw: BinaryIO | None
    ) -> dict[str, int]:
        count = invalid = suspicious = 0
        most = written_bytes(self.source.stat().st_size, self.source.name.lower().endswith((".gz", *BINARIES)))
        for row in rows:
            count += 1
            if row.problem is not None:  # the stored file has another name than the user's
                row.problem.params["path"] = self.name
            if row.values is not None and not self._seen_columns.keys() >= row.values.keys():
                self._notice_columns(row.values)
            example, said = self._example_of(row)
            group = 0
            if example is not None and (halves := _half_characters(example)):
                example, said = (
                    None,
                    [Problem.error(Code.ROW_FIELD_TYPE, path=self.name, row=row.row, line=row.line, **halves)],
                )
            if example is not None:
                group, repeated = self._repeated(example)
                said += repeated
                if group in self._trained:
                    where = {"path": self.name, "row": row.row, "line": row.line, "field": None}
                    said.append(Problem.warning(Code.ROW_IN_BOTH, first_row=self._trained[group], **where))
            if said:
                invalid += example is None
                suspicious += example is not None
                self._write_problems(problems, row, said, raw)
            if example is not None:
                record = _record(example, said)
                writer.append(as_json(record), group, row.row, 0, flags_of(example) | (SUSPICIOUS if said else 0))
            if (written := writer.size + problems.tell()) > most:
                raise FineTuneError.of(Code.UNPACKS_TOO_LARGE, path=self.name, size=written, limit=most)
            self._progress(row, count)
        return {"rows": count, "valid": count - invalid - suspicious, "invalid": invalid, "suspicious": suspicious}

    def _repeated(self, example: Example) -> tuple[int, list[Problem]]:
        """Return a hash of the row's text, and warnings if an earlier row has the same text."""
        said = spoken(example)
        exact = int.from_bytes(hashlib.blake2b(said, digest_size=4).digest(), "little")
        group = group_of(said)
        packed = self._seen.setdefault(group, example.row << 32 | exact)
        first_row = packed >> 32
        if first_row == example.row:
            return group, []
        code = Code.ROW_DUPLICATE if packed & 0xFFFFFFFF == exact else Code.ROW_NEARLY_DUPLICATE
        where = {"path": self.name, "row": example.row, "line": example.line, "field": None}
        return group, [Problem.warning(code, first_row=first_row, **where)]

    def _write_problems(self, file: BinaryIO, row: Row, said: list[Problem], raw: BinaryIO | None) -> None:
        excerpt = self._excerpt(row, raw) if self._problem_lines < _EXCERPTS else ""
        for problem in said:
            self._kinds[problem.code] += 1
            self._kinds_invalid[problem.code] += problem.severity == "error"
            line = problem.params.get("line", row.line)
            record = {
                "row": row.row, "line": line, "offset": row.offset, "length": row.length,
                "problem": problem.model_dump(mode="json"), "text": excerpt,
            }  # fmt: skip
            written = as_json(record)
            file.write(written + b"\n")
            self._problem_lines += 1
            if len(self._first) < SHOWN_PROBLEMS:
                self._first.append(RowProblem.model_validate_json(written))

    def _excerpt(self, row: Row, raw: BinaryIO | None) -> str:
        """Return the row or its beginning. For a compressed file this would require unpacking it again."""
        if row.offset is not None and raw is not None:
            raw.seek(row.offset)
            return raw.read(min(row.length, _EXCERPT)).decode("utf-8", "replace").strip()
        if row.values is not None:
            return as_json(row.values).decode()[:_EXCERPT]
        return ""

    def _progress(self, row: Row, count: int) -> None:
        if count % 256 or (now := time.monotonic()) - self._updated < _TELL_SECONDS:
            return
        self._updated = now
        packed = self.source.name.lower().endswith(".gz")
        done = 0 if packed else row.offset or 0
        self._tell(JobProgress(progress=(done, self.source.stat().st_size), rows=count))


def groups_of(path: Path, columns: Mapping[str, str] | None, sample_by: str) -> dict[int, int]:
    """Map the hashes (`group_of`) of a file's rows to the first row with that text.

    Raises:
        FineTuneError: the file can't be used as a whole.
    """
    with tempfile.TemporaryDirectory(prefix="finetune-") as place:
        folder = DatasetFolder(Path(place))
        Inspection(path, folder, columns, sample_by).run()
        examples = ExampleFile(folder)
        found: dict[int, int] = {}
        for position in range(len(examples)):
            _, group, row, _, _ = examples.entry(position)
            found.setdefault(group, row)
        return found


class Quoted:
    """Opens the source again to quote rows. Gives None for a compressed file, which would need unpacking again."""

    def __init__(self, path: Path) -> None:
        self._file = None if path.name.lower().endswith(".gz") else open_data(path)

    def __enter__(self) -> BinaryIO | None:
        return self._file  # type: ignore[return-value]

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _record(example: Example, said: list[Problem]) -> dict[str, object]:
    """Convert an example like `Example.to_record`, but several times faster, because this runs for every row."""
    record: dict[str, object] = {"schema_version": example.schema_version, "row": example.row, "line": example.line}
    if example.text is not None:
        record["text"] = example.text
    if example.messages:
        record["messages"] = [_turn(message) for message in example.messages]
    if example.rejected:
        record["rejected"] = [_turn(message) for message in example.rejected]
    if example.label is not None:
        record["label"] = example.label
    if example.tools:
        record["tools"] = example.tools
    if said:
        record["warnings"] = sorted({problem.code.value for problem in said})
    return record


def _turn(message: Message) -> dict[str, object]:
    if message.tool_calls or message.reasoning or message.name or message.tool_call_id:
        return message.model_dump()
    return {"role": message.role, "content": message.content, "train": message.train}


def as_json(value: Any) -> bytes:
    """Serialize any value from a file to JSON: numbers of any size, and lone surrogates as question marks."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace")


def _half_characters(example: Example) -> dict[str, str] | None:
    """Find lone surrogates in texts that the field checks don't cover: names and arguments of tools."""
    for message in example.turns():
        said = message.model_dump(include={"tool_calls", "name", "tool_call_id"}, exclude_defaults=True)
        if said and _holds_half(said):
            return {"field": "tool_calls", "expected": "type_text", "value": "half_character"}
    if example.tools and _holds_half(example.tools):
        return {"field": "tools", "expected": "type_text", "value": "half_character"}
    return None


def _holds_half(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    return False


def spoken(example: Example) -> bytes:
    """Return all text of a row, to compare it with other rows."""
    parts = [example.text or ""]
    for message in example.turns():
        parts += [message.role, message.content, message.reasoning or "", "" if message.train else "-"]
        parts += [as_json([call.name, call.arguments]).decode() for call in message.tool_calls]
    if example.tools:
        parts.append(as_json(example.tools).decode())
    if example.label is not None:
        parts.append(str(example.label))
    return "\x1f".join(parts).encode("utf-8", "replace")


def group_of(said: bytes) -> int:
    """Return a hash that is equal for texts that differ only in case and spaces."""
    text = said.lower() if said.isascii() else said.decode("utf-8", "replace").casefold().encode()
    plain = text.translate(None, b" \t\r\n\x0b\x0c")
    return int.from_bytes(hashlib.blake2b(plain, digest_size=8).digest(), "little")


def _preview(shape: Shape, columns: list[str], rows: list[Row], name: str) -> FormatPreview:
    examples = [example for row in rows if (example := example_of(row, shape, name)[0]) is not None]
    return FormatPreview(
        name=name, format=shape.name, columns=dict(shape.columns), known_columns=columns, examples=examples[:SHOWN_ROWS]
    )
