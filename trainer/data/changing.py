"""Writes a changed copy of a dataset: the old one stays, and the new one keeps what differs in `difference.jsonl`."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from interfaces.dataset_records import DatasetReport
from interfaces.dataset_requests import Origin, RowChange
from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.example import Example
from interfaces.example_file import SUSPICIOUS, ExampleFile, ExampleWriter
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
        turns = [
            {**turn.model_dump(exclude_defaults=True, exclude={"train"}), **({} if turn.train or turn.role != "assistant" else {"weight": 0})}
            for turn in example.messages
        ]  # fmt: skip
        values = {"messages": turns, **({"tools": list(example.tools)} if example.tools else {})}
    found, problems = example_of(Row(example.row, None, values), detect_shape([values], name), name)
    if found is None:
        raise FineTuneError(*problems)
    return example.model_copy(update={"warnings": tuple(sorted({problem.code.value for problem in problems}))})


def write_changed(
    home: Home, folder: DatasetFolder, change: Change, added: Sequence[Example] = (),
    tell: OnProgress = ignore_progress, name: str = "", keep: Iterable[int] | None = None,
) -> DatasetFolder:  # fmt: skip
    """Write the copy. With `keep`, only the rows at these positions are considered at all, and nothing is recorded of
    the others: that is for parts of a dataset.
    """
    report, examples = DatasetReport.required(folder), ExampleFile(folder)
    require_space(home.path, 2 * folder.examples.stat().st_size)
    staging = DatasetFolder(home.datasets / unfinished_name())
    staging.path.mkdir(parents=True)
    try:
        origin, warnings, suspicious, last = Origin(dataset=folder.id), Counter[str](), 0, 0
        writer = ExampleWriter(staging)
        with staging.difference.open("wb") as difference:

            def write(example: Example, source: int, position: int | None, before: bytes | None) -> None:
                nonlocal suspicious
                group = group_of(spoken(example))
                writer.append(
                    as_json(example.to_record()), group, example.row, source, SUSPICIOUS if example.warnings else 0
                )
                suspicious += bool(example.warnings)
                warnings.update(example.warnings)
                old = None if before is None else Example.model_validate_json(before)
                _note(difference, RowChange(position=position, before=old, after=example))

            for done, position in enumerate(range(len(examples)) if keep is None else keep):
                if done % TELL_ROWS == 0:
                    tell(JobProgress(progress=(done, len(examples)), rows=done))
                line = examples.line(position)
                _, group, row, source, flags = examples.entry(position)
                last = max(last, row)
                after = change(position, line)
                if isinstance(after, bytes):
                    writer.append(after, group, row, source, flags)
                    suspicious += flags & SUSPICIOUS
                    if flags & SUSPICIOUS:
                        warnings.update(Example.model_validate_json(line).warnings)
                elif after is None:
                    origin.removed += 1
                    _note(difference, RowChange(position=position, before=Example.model_validate_json(line)))
                else:
                    origin.changed += 1
                    write(after.model_copy(update={"row": row, "source": source}), source, position, line)
            for number, example in enumerate(added, start=last + 1):
                origin.added += 1
                write(example.model_copy(update={"row": number, "line": None, "source": 0}), 0, None, None)
        writer.close()
        if writer.count == 0:
            raise FineTuneError.of(Code.NO_ROWS_LEFT, path=report.name)
        recipe = json.dumps([folder.id, sha256_of(staging.examples), name])
        new = home.dataset(hashlib.sha256(recipe.encode()).hexdigest()[:16])
        if is_whole(new):
            return new
        staging.problems.touch()
        report.model_copy(
            update={
                "name": name or report.name, "rows": writer.count, "valid": writer.count - suspicious,
                "usable": writer.count, "suspicious": suspicious, "invalid": 0, "kinds": dict(warnings.most_common()),
                "kinds_invalid": {}, "first": [], "bytes": writer.size, "origin": origin, "added": time.time(),
                "sha256": hashlib.sha256(recipe.encode()).hexdigest(), "examples_sha256": sha256_of(staging.examples),
                "known_columns": [],
            }
        ).write(staging)  # fmt: skip
        if not name and folder.meta.is_file():
            shutil.copyfile(folder.meta, staging.meta)  # what a person called it
        shutil.rmtree(new.path, ignore_errors=True)
        publish(staging.path, new.path)
    finally:
        shutil.rmtree(staging.path, ignore_errors=True)
    return new


def _note(file: object, change: RowChange) -> None:
    file.write(change.model_dump_json(exclude_defaults=True).encode() + b"\n")  # type: ignore[attr-defined]
