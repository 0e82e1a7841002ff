"""Writes a changed copy of a dataset: the old one stays, and the new one keeps what differs in `difference.jsonl`."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from interfaces.dataset_records import DatasetReport
from interfaces.dataset_requests import Origin, RowChange
from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.example import Example, Message
from interfaces.example_file import SUSPICIOUS, ExampleFile, ExampleWriter, flags_of
from interfaces.files import publish, sha256_of
from interfaces.folders import DatasetFolder, Home, unfinished_name
from interfaces.problems import Code
from interfaces.trainer_jobs import JobProgress, OnProgress, ignore_progress
from trainer.data.dataset import is_whole
from trainer.data.formats import detect_shape, example_of
from trainer.data.inspection import as_json, group_of, spoken
from trainer.data.rows import Row

TELL_ROWS = 5000
Change = Callable[[int, bytes], "Example | bytes | None"]
"""From a row's position and its JSON: the JSON itself to keep it, another row, or None to remove it."""


def change_rows(
    home: Home, folder: DatasetFolder, changes: Mapping[int, Example | None], added: Sequence[Example] = (),
    tell: OnProgress = ignore_progress,
) -> DatasetFolder:  # fmt: skip
    """Create a dataset in which rows are replaced, or removed (None), by their positions, and others are added.

    Raises:
        FineTuneError: a row doesn't exist, or a new one can't be trained on.
    """
    report = DatasetReport.required(folder)
    count = len(ExampleFile(folder))
    if missing := [position for position in changes if not 0 <= position < count]:
        raise FineTuneError.of(Code.ROW_NUMBER_UNKNOWN, path=report.name, value=missing[0] + 1, rows=count)
    checked = {position: None if row is None else _checked(row, report.name) for position, row in changes.items()}
    new = [_checked(row, report.name) for row in added]

    def change(position: int, line: bytes) -> Example | bytes | None:
        return checked.get(position, line)

    return write_changed(home, folder, change, new, tell)


def _checked(example: Example, name: str) -> Example:
    """Return a row with its warnings, checked like one of a file.

    Raises:
        FineTuneError: it can't be trained on.
    """
    if example.text is not None:
        example = example.model_copy(update={"messages": (), "tools": ()})
        values: dict[str, object] = {"text": example.text}
    else:
        values = {"tools": list(example.tools)} if example.tools else {}
        if example.rejected:
            asked, chosen = len(example.prompt), _turns(example.messages)
            values |= {"chosen": chosen, "rejected": chosen[:asked] + _turns(example.rejected)}
        else:
            values |= {"messages": _turns(example.messages)}
    found, problems = example_of(Row(example.row, None, values), detect_shape([values], name), name)
    if found is None:
        raise FineTuneError(*problems)
    return example.model_copy(update={"warnings": tuple(sorted({problem.code.value for problem in problems}))})


def _turns(messages: Sequence[Message]) -> list[dict[str, object]]:
    """Return turns as a file has them."""
    return [
        {**turn.model_dump(exclude_defaults=True, exclude={"train"}), **({} if turn.train or turn.role != "assistant" else {"weight": 0})}
        for turn in messages
    ]  # fmt: skip


def write_changed(
    home: Home, folder: DatasetFolder, change: Change, added: Sequence[Example] = (),
    tell: OnProgress = ignore_progress, name: str = "", keep: Sequence[int] | None = None,
) -> DatasetFolder:  # fmt: skip
    """Write the copy; without any change, return the dataset itself. `keep` makes a part, called `name`: only the rows at
    these positions are in it.

    Raises:
        FineTuneError: no row would be left.
    """
    report, examples = DatasetReport.required(folder), ExampleFile(folder)
    require_space(home.path, 2 * folder.examples.stat().st_size)
    staging = DatasetFolder(home.datasets / unfinished_name())
    staging.path.mkdir(parents=True)
    try:
        positions = range(len(examples)) if keep is None else keep
        with _Copy(staging, Origin(dataset=folder.id, left_out=report.invalid)) as copy:
            for done, position in enumerate(positions):
                if done % TELL_ROWS == 0:
                    tell(JobProgress(progress=(done, len(positions)), rows=done))
                copy.take(examples, position, change)
            for example in added:
                copy.add(example)
        if copy.writer.count == 0:
            raise FineTuneError.of(Code.NO_ROWS_LEFT, path=report.name)
        if not name and copy.is_unchanged:
            return folder
        return _published(home, folder, report, copy, name)
    finally:
        shutil.rmtree(staging.path, ignore_errors=True)


class _Copy:
    """The rows of the new dataset as they are written, with what differs."""

    def __init__(self, folder: DatasetFolder, origin: Origin) -> None:
        self.folder, self.origin = folder, origin
        self.warnings: Counter[str] = Counter()
        self.suspicious = self._last_row = 0

    def __enter__(self) -> Self:
        self.writer = ExampleWriter(self.folder)
        self._difference = self.folder.difference.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()
        self._difference.close()

    @property
    def is_unchanged(self) -> bool:
        return not (self.origin.changed or self.origin.removed or self.origin.added)

    def take(self, examples: ExampleFile, position: int, change: Change) -> None:
        """Take over a row, or what becomes of it."""
        line = examples.line(position)
        _, group, row, source, flags = examples.entry(position)
        self._last_row = max(self._last_row, row)
        after = change(position, line)
        if isinstance(after, bytes):
            self.writer.append(after, group, row, source, flags)
            if flags & SUSPICIOUS:
                self._warn(Example.model_validate_json(line))
        elif after is None:
            self.origin.removed += 1
            self._note(RowChange(position=position, before=Example.model_validate_json(line)))
        else:
            self.origin.changed += 1
            self._write(after.model_copy(update={"row": row, "source": source}))
            self._note(RowChange(position=position, before=Example.model_validate_json(line), after=after))

    def add(self, example: Example) -> None:
        self.origin.added += 1
        self._last_row += 1
        self._write(example.model_copy(update={"row": self._last_row, "line": None, "source": 0}))
        self._note(RowChange(position=None, after=example))

    def _write(self, example: Example) -> None:
        line = as_json(example.to_record())
        self.writer.append(line, group_of(spoken(example)), example.row, example.source, flags_of(example))
        if example.warnings:
            self._warn(example)

    def _warn(self, example: Example) -> None:
        self.suspicious += 1
        self.warnings.update(example.warnings)

    def _note(self, change: RowChange) -> None:
        self._difference.write(change.model_dump_json(exclude_defaults=True).encode() + b"\n")


def _published(home: Home, folder: DatasetFolder, report: DatasetReport, copy: _Copy, name: str) -> DatasetFolder:
    """Write the report of a copy, and give it its place among the datasets."""
    sha256 = sha256_of(copy.folder.examples)
    recipe = hashlib.sha256(json.dumps([folder.id, sha256, name]).encode()).hexdigest()
    new = home.dataset(recipe[:16])
    if is_whole(new):
        return new
    count, suspicious = copy.writer.count, copy.suspicious
    copy.folder.problems.touch()
    report.model_copy(
        update={
            "name": name or report.name, "rows": count, "valid": count - suspicious, "usable": count,
            "suspicious": suspicious, "invalid": 0, "kinds": dict(copy.warnings.most_common()), "kinds_invalid": {},
            "first": [], "known_columns": [], "bytes": copy.writer.size, "origin": copy.origin, "added": time.time(),
            "sha256": recipe, "examples_sha256": sha256, "holds": copy.writer.kinds,
        }
    ).write(copy.folder)  # fmt: skip
    if not name and folder.meta.is_file():
        shutil.copyfile(folder.meta, copy.folder.meta)  # what a person called it
    shutil.rmtree(new.path, ignore_errors=True)
    publish(copy.folder.path, new.path)
    return new
