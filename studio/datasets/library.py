"""The library: the datasets of a home with their reports and names. Rows are read by position."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from interfaces.config import UNKNOWN_DATA, FineTuneConfig
from interfaces.data_files import BINARIES, SUFFIXES
from interfaces.dataset_records import DatasetReport, NamedReport, RowProblem
from interfaces.dataset_requests import FixRequest, MixRequest
from interfaces.errors import FineTuneError
from interfaces.evaluations import HELD_OUT, EvaluationSpec
from interfaces.example import Example
from interfaces.example_file import ExampleFile
from interfaces.files import write_json
from interfaces.folders import DatasetFolder, Home, RunFolder, unfinished
from interfaces.job_folders import EvaluationFolder
from interfaces.problems import Code, Problem
from interfaces.records import read_record
from interfaces.run_config import Settings
from interfaces.run_records import Lineage, RunMeta
from interfaces.trainer_jobs import AddedDataset, OnProgress, ignore_progress
from interfaces.validation import config_errors
from studio.processes.trainer_child import add_dataset, run_trainer

MOST_BYTES = 20_000_000_000
"""The largest file that can be uploaded through the page."""
SHOWN_NAME = 120
_EDITED_ROW = 20_000
MOST_EDITED = 50_000_000
"""The largest file, in bytes, whose rows can be edited on the page."""
_UNFINISHED_SECONDS = 86_400
_ID = re.compile(r"\b[0-9a-f]{16}\b")
_LONG_SECONDS = 6 * 3600.0
Answer = TypeVar("Answer", bound=BaseModel)


class DatasetSummary(BaseModel):
    """One line of the library. `version` numbers datasets of the same name by age, from 1."""

    id: str
    name: str
    format: str
    rows: int
    valid: int
    invalid: int
    suspicious: int
    bytes: int
    added: float
    version: int
    versions: int
    runs: tuple[str, ...]


class ImportFile(BaseModel):
    """A file in the home's `imports/`."""

    name: str
    bytes: int


class Imports(BaseModel):
    """The home's `imports/`, and the files that wait there."""

    folder: str
    files: list[ImportFile]


def list_datasets(home: Home) -> list[DatasetSummary]:
    """List all datasets, newest first. A dataset from another version has only its name; opening it raises an error."""
    reports = []
    for path in home.datasets.iterdir() if home.datasets.is_dir() else ():
        folder = DatasetFolder(path)
        try:
            report = None if path.name.startswith(".") else DatasetReport.of(folder)
        except FineTuneError:
            report = _unknown(folder)
        if report is not None:
            reports.append((folder, report))
    reports.sort(key=lambda pair: pair[1].added)
    used = _runs_of_datasets(home)
    names = [_name(folder, report) for folder, report in reports]
    seen: dict[str, int] = {}
    summaries = []
    for (folder, report), name in zip(reports, names, strict=True):
        seen[name] = seen.get(name, 0) + 1
        counts = report.model_dump(include={"rows", "valid", "invalid", "suspicious", "bytes", "added"})
        summaries.append(
            DatasetSummary(
                id=folder.id,
                name=name,
                format=report.format or "-",
                **counts,
                version=seen[name],
                versions=names.count(name),
                runs=tuple(used.get(folder.id, ())),
            )
        )
    return summaries[::-1]


def _unknown(folder: DatasetFolder) -> DatasetReport:
    """Return a placeholder for a report that another version wrote."""
    return DatasetReport(
        name=folder.id, format=None, sources=[], rows=0, valid=0, invalid=0, suspicious=0, usable=0, bytes=0
    )


def _runs_of_datasets(home: Home) -> dict[str, list[str]]:
    """Return the runs that trained on each dataset or are evaluated on it, from small JSON records: reading all configs would take seconds."""
    used: dict[str, list[str]] = {}
    for path in sorted(home.runs.iterdir()) if home.runs.is_dir() else ():
        for dataset in datasets_of_run(RunFolder(path)):
            used.setdefault(dataset, []).append(path.name)
    return used


def datasets_of_run(run: RunFolder) -> set[str]:
    """Return the ids of the datasets that a run was trained on or is evaluated on.

    Where another version wrote a record, all that look like an id in it count: none that is used is missing.
    """
    ids: set[str] = set()
    try:
        meta = RunMeta.of(run)
        ids |= {meta.dataset_id, meta.validation_id}
    except FineTuneError:
        ids |= _ids_in(run.meta) | _ids_in(run.config)
    try:
        lineage = Lineage.of(run)
        origins = (lineage.dataset, lineage.validation_dataset) if lineage else ()
        ids |= {origin.id for origin in origins if origin is not None}
    except FineTuneError:
        ids |= _ids_in(run.lineage)
    for evaluation in EvaluationFolder.all_of(run):
        try:
            ids.add(EvaluationSpec.of(evaluation).dataset)
        except FineTuneError:
            ids |= _ids_in(evaluation.config)
    return ids - {"", HELD_OUT}


def _ids_in(path: Path) -> set[str]:
    try:
        return set(_ID.findall(path.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return set()


def find_dataset(home: Home, reference: str) -> DatasetFolder:
    """Find a dataset by id, id prefix, or name (the newest of several).

    Raises:
        FineTuneError: there is none.
    """
    if _report(home, reference) is not None:
        return home.dataset(reference)
    known = list_datasets(home)
    named = [summary.id for summary in known if summary.name == reference]
    begun = [summary.id for summary in known if reference and summary.id.startswith(reference)]
    if not named and len(begun) > 1:
        raise FineTuneError.of(Code.RUN_AMBIGUOUS, run=reference, known=begun[:5])
    if named or begun:
        return home.dataset((named or begun)[0])
    raise FineTuneError.of(Code.DATASET_NOT_FOUND, value=reference)


def dataset_name(home: Home, reference: str) -> str:
    """Return a dataset's display name: the original file name unless the user has renamed it."""
    report = _report(home, reference)
    return _name(home.dataset(reference), report) if report else Path(reference).name


def ensure_dataset(
    home: Home,
    reference: str | Mapping[str, float],
    columns: Mapping[str, str] | None = None,
    tell: OnProgress = ignore_progress,
) -> str:
    """Return the id of a dataset in the home. Files are checked, normalized, and added first; several are mixed.

    Raises:
        FineTuneError: a file can't be used.
    """
    if not isinstance(reference, str):
        weights: dict[str, float] = {}
        for part, weight in reference.items():  # two names for the same content are one part
            dataset = ensure_dataset(home, part, columns, tell)
            weights[dataset] = weights.get(dataset, 0) + weight
        return mix_datasets(home, weights)
    if reference == UNKNOWN_DATA:
        raise FineTuneError(Problem.error(Code.DATA_UNKNOWN), Problem.error(Code.VALUE_MISSING, field="dataset"))
    if _report(home, reference) is None:
        return add_dataset(home.path, reference, columns, tell=tell)
    return reference


def with_datasets(home: Home, config: Settings) -> Settings:
    """Return a config with its datasets resolved to ids of the home and checked, ready for a run.

    Raises:
        FineTuneError: the config holds errors, a file can't be used, rows of it are invalid and the config says to stop, or
            they don't suit the method.
    """
    if errors := config_errors(config):
        raise FineTuneError(*errors)
    checked, found = FineTuneConfig.model_validate(config), dict(config)
    for key, reference in (
        ("dataset", checked.dataset), ("validation_dataset", checked.validation_dataset),
        ("evaluation_dataset", checked.evaluation_dataset),
    ):  # fmt: skip
        if reference:
            found[key] = dataset = ensure_dataset(home, reference, checked.columns)
            report = describe(home, dataset)
            refused = report.blocking(checked.bad_rows)
            if refused is None and key != "evaluation_dataset":
                refused = report.unfit_for(checked.method, checked.bad_rows)
            if refused is not None:
                raise FineTuneError(refused)
    return found


def mix_datasets(home: Home, parts: Mapping[str, float]) -> str:
    """Mix datasets, given as ids with weights, into a new one. Return its id."""
    return ask_trainer(home, MixRequest(parts=dict(parts)), AddedDataset).dataset


def edit_dataset(
    home: Home, dataset: str, changes: Mapping[int, str | None], tell: OnProgress = ignore_progress
) -> str:
    """Create a dataset with the rows of the file in `changes` replaced (or removed, for None). Return its id.

    Raises:
        FineTuneError: the rows of this dataset can't be edited here.
    """
    return ask_trainer(home, FixRequest(dataset=dataset, changes=dict(changes)), AddedDataset, tell).dataset


def ask_trainer(home: Home, request: BaseModel, answer: type[Answer], tell: OnProgress = ignore_progress) -> Answer:
    """Have a child process carry out a `DatasetRequest`, and return its answer.

    Raises:
        FineTuneError: what the child found wrong.
    """
    home.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.cache) as place:
        asked = Path(place) / "request.json"
        asked.write_text(request.model_dump_json(), encoding="utf-8")
        return run_trainer(
            ["dataset", "--home", str(home.path), "--", str(asked)], answer, tell, _LONG_SECONDS, home=home.path
        )


def rename_dataset(home: Home, dataset: str, name: str) -> None:
    """Give a dataset another name; its id and its rows stay."""
    plain = "".join(character for character in name if character.isprintable()).strip()[:SHOWN_NAME]
    if not plain:
        raise FineTuneError.of(Code.VALUE_INVALID, field="name", value=repr(name), expected="printable")
    write_json(home.dataset(dataset).meta, {"name": plain})


def delete_dataset(home: Home, dataset: str, although_used: bool = False) -> None:
    """Move a dataset to the trash.

    Raises:
        FineTuneError: runs used it, and `although_used` is false.
    """
    runs = _runs_of_datasets(home).get(dataset, [])
    if runs and not although_used:
        name = dataset_name(home, dataset)
        raise FineTuneError.of(Code.DATASET_IN_USE, value=name, count=len(runs), known=runs[:5])
    home.trash.mkdir(exist_ok=True)
    # Remove an earlier deleted dataset with the same content from the trash.
    shutil.rmtree(home.trash / f"dataset-{dataset}", ignore_errors=True)
    home.dataset(dataset).path.rename(home.trash / f"dataset-{dataset}")


def restore_dataset(home: Home, dataset: str) -> None:
    """Restore a dataset from the trash.

    Raises:
        FineTuneError: it isn't in the trash.
    """
    deleted = home.trash / f"dataset-{dataset}"
    if not dataset.isalnum() or not os.path.isdir(deleted):  # noqa: PTH112  a name may be too long
        raise FineTuneError.of(Code.DATASET_NOT_FOUND, value=dataset)
    if not home.dataset(dataset).report.is_file():  # or the same file was added again meanwhile
        deleted.rename(home.dataset(dataset).path)


def describe(home: Home, dataset: str) -> NamedReport:
    """A dataset's report with what a person called it.

    Raises:
        FineTuneError: there is no such dataset.
    """
    report = _report(home, dataset)
    if report is None:
        raise FineTuneError.of(Code.DATASET_NOT_FOUND, value=dataset)
    folder = home.dataset(dataset)
    source = folder.find_source()
    packed = source is None or source.suffix in (".gz", *BINARIES)
    more = {"id": dataset, "name": _name(folder, report), "editable": not packed and report.bytes <= MOST_EDITED}
    return NamedReport(**{**dict(report), **more})


def rows_of(home: Home, dataset: str, start: int, count: int) -> list[Example]:
    """Rows by position."""
    examples = ExampleFile(home.dataset(dataset))
    return [examples[position] for position in range(max(start, 0), min(start + count, len(examples)))]


def problems_of(home: Home, dataset: str, start: int, count: int, whole_rows: bool = False) -> list[RowProblem]:
    """Return the invalid and suspicious rows in file order, with the full row if it is to be fixed."""
    folder = home.dataset(dataset)
    source = folder.find_source()
    found = []
    with folder.problems.open("rb") as file:
        for number, line in enumerate(file):
            if number >= start + count:
                break
            if number >= start:
                found.append(RowProblem.model_validate_json(line))
    if whole_rows and source is not None and source.suffix not in (".gz", *BINARIES):
        with source.open("rb") as raw:
            for record in found:
                if record.offset is not None and record.length <= _EDITED_ROW:
                    raw.seek(record.offset)
                    record.whole = _own_text(raw.read(record.length), source.suffix)
    return found


def _own_text(raw: bytes, suffix: str) -> str:
    """Return a row's text without its separator."""
    text = raw.decode("utf-8", "replace").strip()
    return text.removesuffix(",").rstrip() if suffix == ".json" else text


def problem_lines(folder: DatasetFolder) -> Iterable[RowProblem]:
    """Every problem of a dataset, one record at a time."""
    with folder.problems.open("rb") as file:
        for line in file:
            yield RowProblem.model_validate_json(line)


def forget_unfinished(home: Home) -> None:
    """Remove unfinished folders of killed children. Reading any file takes less than a day."""
    for path in unfinished(home.path):
        if time.time() - path.stat().st_mtime > _UNFINISHED_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


def import_files(home: Home) -> list[ImportFile]:
    """List the files in the home's `imports/` folder, for files that are too large to upload through a browser."""
    if not home.imports.is_dir():
        return []
    files = sorted(path for path in home.imports.iterdir() if path.is_file() and path.name.lower().endswith(SUFFIXES))
    return [ImportFile(name=path.name, bytes=path.stat().st_size) for path in files]


def _name(folder: DatasetFolder, report: DatasetReport) -> str:
    return str((read_record(folder.meta) or {}).get("name") or report.name or folder.id)


def _report(home: Home, reference: str) -> DatasetReport | None:
    is_plain_name = reference not in ("", ".", "..") and "/" not in reference and "\0" not in reference
    try:
        return DatasetReport.of(home.dataset(reference)) if is_plain_name else None
    except OSError:  # a name that is too long for the disk
        return None
