"""Adds a file to the home as a dataset folder, and reads the examples of a dataset.

`report.json` is written last, so its presence means that the dataset is complete. The id is a prefix of the content's
sha256 (including the chosen columns, if any), so the same file is added only once, and a run records exactly what it
trained on. Datasets with invalid rows are added too, so that the rows can be inspected, fixed, or skipped.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import numpy.typing

from interfaces.dataset_records import DatasetReport
from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.example_file import INDEX_FIELDS
from interfaces.files import publish, sha256_of
from interfaces.folders import DatasetFolder, Home, unfinished_name
from interfaces.problems import Code
from interfaces.trainer_jobs import OnProgress, ignore_progress
from trainer.data.inspection import Inspection
from trainer.data.reading import kind_of_file

Indices = numpy.typing.NDArray[numpy.int64]


def add_dataset(
    home: Home, source: Path, columns: Mapping[str, str] | None = None, sample_by: str = "paragraph",
    name: str = "", tell: OnProgress = ignore_progress, move: bool = False,
) -> DatasetFolder:  # fmt: skip
    """Copy `source` into the home and normalize it. If the same content was added before, reuse that dataset.

    `move` moves the file instead. A preview of the first rows is sent before any slow work.

    Raises:
        FineTuneError: the file can't be used as a whole; nothing is kept.
    """
    if not source.is_file():
        code = Code.FILE_UNREADABLE if source.exists() else Code.FILE_MISSING
        raise FineTuneError.of(code, path=str(source), reason="not_a_file")
    name = name or source.name
    Inspection(source, home.dataset(""), columns, sample_by, tell, name).preview()
    sha256 = sha256_of(source)
    folder = home.dataset(_id_of(sha256, kind_of_file(source), columns, sample_by))
    if is_whole(folder):
        return folder
    require_space(home.path, 3 * source.stat().st_size)
    staging = DatasetFolder(home.datasets / unfinished_name())
    staging.path.mkdir(parents=True)
    try:
        kept = staging.source(kind_of_file(source) + (".gz" if source.name.lower().endswith(".gz") else ""))
        shutil.move(source, kept) if move else shutil.copyfile(source, kept)
        report = Inspection(kept, staging, columns, sample_by, tell, name).run()
        sums = {"sha256": sha256, "examples_sha256": sha256_of(staging.examples), "added": time.time()}
        report.model_copy(update=sums).write(staging)
        shutil.rmtree(folder.path, ignore_errors=True)
        publish(staging.path, folder.path)
    except FineTuneError as error:
        for problem in error.problems:  # the copy has another name than the user's file
            problem.params["path"] = name
        raise
    finally:
        shutil.rmtree(staging.path, ignore_errors=True)
    return folder


def _id_of(sha256: str, kind: str, columns: Mapping[str, str] | None, sample_by: str) -> str:
    # The same bytes give different rows when read as a table or as text.
    read_as = kind if kind in (".csv", ".tsv", ".txt") else ""
    choices = {"columns": dict(columns or {}), "sample_by": sample_by, "read_as": read_as}
    if choices == {"columns": {}, "sample_by": "paragraph", "read_as": ""}:
        return sha256[:16]
    return hashlib.sha256((sha256 + json.dumps(choices, sort_keys=True)).encode()).hexdigest()[:16]


def is_whole(folder: DatasetFolder) -> bool:
    """Return whether the dataset is complete and unchanged since it was added."""
    report = DatasetReport.of(folder)
    if report is None or report.lacks_answers or not (folder.examples.is_file() and folder.index.is_file()):
        return False
    return sha256_of(folder.examples) == report.examples_sha256


def index_of(folder: DatasetFolder) -> numpy.typing.NDArray[Any]:
    """Return the index of a dataset's rows as a structured array (`INDEX_FIELDS`)."""
    return numpy.fromfile(folder.index, dtype=numpy.dtype(INDEX_FIELDS))
