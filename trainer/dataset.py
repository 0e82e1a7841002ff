"""A file becomes a dataset folder of the home, and a dataset folder becomes examples to train and to validate on.

`report.json` is written last, so its presence means that the dataset is whole. The id is the start of the content's
sha256 (with the choice of columns, where one was made): the same file is added once, and a run knows exactly what
it learned from. A dataset with rows at fault is added too, so that they can be looked at, mended or left out.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import numpy.typing

from interfaces.disk import require_space
from interfaces.examples import DOUBTFUL, INDEX_FIELDS, ExampleFile
from interfaces.files import publish, read_json, write_json
from interfaces.folders import DatasetFolder, Home
from interfaces.problems import Code, FineTuneError, rows_that_forbid
from trainer.inspection import Inspection, Tell, say_nothing
from trainer.reading import kind_of_file

Indices = numpy.typing.NDArray[numpy.int64]


def sha256_of(path: Path) -> str:
    """The file's sha256 as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def add_dataset(
    home: Home, source: Path, columns: Mapping[str, str] | None = None, sample_by: str = "paragraph",
    name: str = "", tell: Tell = say_nothing, move: bool = False,
) -> DatasetFolder:  # fmt: skip
    """Copy `source` into the home and normalise it. A file added before is found again by its content.

    With `move` the file is taken, not copied. The first rows are told before anything that takes time.

    Raises:
        FineTuneError: the file as a whole can't be used; nothing is kept then.
    """
    if not source.is_file():
        code = Code.FILE_UNREADABLE if source.exists() else Code.FILE_MISSING
        raise FineTuneError.of(code, path=str(source), reason="it is not a file")
    name = name or source.name
    Inspection(source, home.dataset(""), columns, sample_by, tell, name).preview()
    sha256 = sha256_of(source)
    folder = home.dataset(_id_of(sha256, kind_of_file(source), columns, sample_by))
    if is_whole(folder):
        return folder
    require_space(home.path, 3 * source.stat().st_size)
    staging = DatasetFolder(home.datasets / f".adding-{secrets.token_hex(4)}")
    staging.path.mkdir(parents=True)
    try:
        kept = staging.source(kind_of_file(source) + (".gz" if source.name.lower().endswith(".gz") else ""))
        shutil.move(source, kept) if move else shutil.copyfile(source, kept)
        report = Inspection(kept, staging, columns, sample_by, tell, name).run()
        report |= {"sha256": sha256, "examples_sha256": sha256_of(staging.examples), "added": time.time()}
        write_json(staging.report, report)
        shutil.rmtree(folder.path, ignore_errors=True)
        publish(staging.path, folder.path)
    except FineTuneError as error:
        for problem in error.problems:  # the copy has another name than a person gave the file
            problem.params["path"] = name
        raise
    finally:
        shutil.rmtree(staging.path, ignore_errors=True)
    return folder


def _id_of(sha256: str, kind: str, columns: Mapping[str, str] | None, sample_by: str) -> str:
    # The same bytes are other rows when they are read as a table or as text.
    read_as = kind if kind in (".csv", ".tsv", ".txt") else ""
    choices = {"columns": dict(columns or {}), "sample_by": sample_by, "read_as": read_as}
    if choices == {"columns": {}, "sample_by": "paragraph", "read_as": ""}:
        return sha256[:16]
    return hashlib.sha256((sha256 + json.dumps(choices, sort_keys=True)).encode()).hexdigest()[:16]


def is_whole(folder: DatasetFolder) -> bool:
    """Whether the dataset is there as it was added."""
    report = read_json(folder.report)
    if report is None or not (folder.examples.is_file() and folder.index.is_file()):
        return False
    return sha256_of(folder.examples) == report.get("examples_sha256")


def report_of(folder: DatasetFolder) -> dict[str, Any]:
    """What was found when the dataset was added.

    Raises:
        FineTuneError: there is none.
    """
    report = read_json(folder.report)
    if report is None:
        raise FineTuneError.of(Code.DATASET_NOT_FOUND, value=folder.id)
    return report


def find_dataset(
    home: Home, reference: str | Mapping[str, float], columns: Mapping[str, str] | None = None, tell: Tell = say_nothing
) -> DatasetFolder:
    """The dataset that a config names: an id of this home, a file, a Hub dataset, or several that are mixed.

    Raises:
        FineTuneError: there is no such dataset, or it can't be used.
    """
    if not isinstance(reference, str):
        from trainer.mixing import mix_datasets

        weights: dict[str, float] = {}
        for part, weight in reference.items():  # two names of one content are one part
            dataset = find_dataset(home, part, columns, tell).id
            weights[dataset] = weights.get(dataset, 0) + weight
        return mix_datasets(home, weights)
    if reference.startswith("hub:"):
        from trainer.hub_dataset import fetch_dataset

        path, name = fetch_dataset(home, reference, tell)
        return add_dataset(home, path, columns, name=name, tell=tell)
    if _is_id(reference) and (report := read_json(home.dataset(reference).report)) is not None:
        if "usable" in report:
            return home.dataset(reference)
        # Added by an earlier version, which kept less: its source is read anew.
        return add_dataset(
            home, home.dataset(reference).find_source() or Path(reference), name=str(report["name"]), tell=tell
        )
    source = Path(reference).expanduser()
    if _is_id(reference) and not source.exists():
        raise FineTuneError.of(Code.DATASET_NOT_FOUND, value=reference)
    return add_dataset(home, source, columns, tell=tell)


def load_dataset(
    home: Home, reference: str | Mapping[str, float], columns: Mapping[str, str] | None = None, bad_rows: str = "stop"
) -> tuple[ExampleFile, Indices, dict[str, Any]]:
    """A dataset's rows, the positions of those to use, and its report.

    Raises:
        FineTuneError: no such dataset; it is not what it was when it was added; or rows of it are at fault and
            `bad_rows` is "stop".
    """
    folder = find_dataset(home, reference, columns)
    report = report_of(folder)
    seen = sha256_of(folder.examples) if folder.examples.is_file() else "missing"
    if seen != report.get("examples_sha256"):
        expected = str(report.get("examples_sha256"))[:12]
        raise FineTuneError.of(Code.DATASET_CHANGED, path=str(folder.examples), seen=seen[:12], expected=expected)
    if refused := rows_that_forbid(report, bad_rows):
        raise FineTuneError(refused)
    examples = ExampleFile(folder)
    used = numpy.arange(len(examples))
    if bad_rows == "skip":
        used = used[index_of(folder)["flags"] & DOUBTFUL == 0]
    return examples, used, report


def index_of(folder: DatasetFolder) -> numpy.typing.NDArray[Any]:
    """The index of a dataset's rows as a structured array (`INDEX_FIELDS`)."""
    return numpy.fromfile(folder.index, dtype=numpy.dtype(INDEX_FIELDS))


def _is_id(reference: str) -> bool:
    return len(reference) == 16 and all(character in "0123456789abcdef" for character in reference)
