"""A file becomes a dataset folder, and a dataset folder becomes examples to train and to validate on.

`report.json` is written last, so its presence means that the dataset is whole. The id is the start of
the content's sha256: the same file is added once, and a run knows exactly what it learned from.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from interfaces.disk import require_space
from interfaces.example import Example
from interfaces.folders import DatasetFolder, Home, read_json, write_json
from interfaces.problems import Code, FineTuneError, Problem
from trainer.formats import detect_format, example_of
from trainer.reading import read_rows

SHOWN_PROBLEMS = 20


def sha256_of(path: Path) -> str:
    """The file's sha256 as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_examples(path: Path) -> tuple[list[Example], list[Problem], dict[str, Any]]:
    """The examples of a data file, the problems of its other rows, and what was detected.

    Raises:
        FineTuneError: the file as a whole can't be used.
    """
    examples: list[Example] = []
    problems: list[Problem] = []
    shape = None
    rows = 0
    for row in read_rows(path):
        rows += 1
        if shape is None and row.values is not None:
            shape = detect_format(row.values, path.name)
        if shape is None:  # rows broken from the first one on: their own problems say enough
            problems.append(
                row.problem or Problem.error(Code.ROW_NOT_OBJECT, path=path.name, row=row.row, value="null")
            )
            continue
        made = example_of(row, shape, path.name)
        if isinstance(made, Problem):
            problems.append(made)
        else:
            examples.append(made)
    if rows == 0:
        raise FineTuneError.of(Code.FILE_EMPTY, path=path.name)
    return examples, problems, {"format": shape.name if shape else None, "rows": rows, "good": len(examples)}


def add_dataset(home: Home, source: Path) -> DatasetFolder:
    """Copy `source` into the home and normalise it. A file added before is found again by its content.

    Raises:
        FineTuneError: the file can't be used, or rows of it are at fault; nothing is kept then.
    """
    if not source.is_file():
        code = Code.FILE_UNREADABLE if source.exists() else Code.FILE_MISSING
        raise FineTuneError.of(code, path=str(source), reason="it is not a file")
    examples, problems, found = read_examples(source)
    if problems:
        first = [problem.model_dump(mode="json") for problem in problems[:SHOWN_PROBLEMS]]
        raise FineTuneError.of(Code.BAD_ROWS, path=source.name, count=len(problems), rows=found["rows"], first=first)
    sha256 = sha256_of(source)
    folder = home.dataset(sha256[:16])
    report = read_json(folder.report)
    if report is not None and folder.examples.is_file() and sha256_of(folder.examples) == report.get("examples_sha256"):
        return folder
    require_space(home.path, 2 * source.stat().st_size)
    folder.path.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder.source(source.suffix.lower()))
    with folder.examples.open("w", encoding="utf-8") as file:
        file.writelines(example.model_dump_json() + "\n" for example in examples)
        file.flush()
        os.fsync(file.fileno())
    report = {
        "name": source.name,
        "sha256": sha256,
        "examples_sha256": sha256_of(folder.examples),
        **found,
        "problems": [],
    }
    write_json(folder.report, report)
    return folder


def load_dataset(home: Home, reference: str) -> tuple[DatasetFolder, list[Example], dict[str, Any]]:
    """The dataset that a config names: an id of this home, or a file, which is added first.

    Raises:
        FineTuneError: no such dataset, or it is not what it was when it was added.
    """
    folder = home.dataset(reference) if _is_id(reference) else None
    if folder is None or read_json(folder.report) is None:
        folder = add_dataset(home, Path(reference).expanduser())
    report = read_json(folder.report) or {}
    seen = sha256_of(folder.examples)
    if seen != report.get("examples_sha256"):
        raise FineTuneError.of(
            Code.DATASET_CHANGED,
            path=str(folder.examples),
            seen=seen[:12],
            expected=str(report.get("examples_sha256"))[:12],
        )
    return folder, list(_examples(folder)), report


def _is_id(reference: str) -> bool:
    return len(reference) == 16 and all(character in "0123456789abcdef" for character in reference)


def _examples(folder: DatasetFolder) -> Iterator[Example]:
    with folder.examples.open(encoding="utf-8") as file:
        for line in file:
            yield Example.model_validate_json(line)


def split_examples(examples: list[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Rows to train on and rows kept aside, by seed; both in the order of the file.

    At least one row stays on each side where `share` is above 0 and there are two rows or more.
    """
    kept_aside = min(round(len(examples) * share) or (1 if share > 0 else 0), len(examples) - 1)
    chosen = set(random.Random(seed).sample(range(len(examples)), max(kept_aside, 0)))
    train = [example for index, example in enumerate(examples) if index not in chosen]
    validation = [example for index, example in enumerate(examples) if index in chosen]
    return train, validation
