"""Resolves a config's dataset to a dataset of the home: an id, a file, a Hub dataset, or a mix of several."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy

from interfaces.config import UNKNOWN_DATA
from interfaces.dataset_records import DatasetReport
from interfaces.errors import FineTuneError
from interfaces.example_file import SUSPICIOUS, ExampleFile
from interfaces.files import sha256_of
from interfaces.folders import DatasetFolder, Home
from interfaces.problems import Code
from interfaces.trainer_jobs import OnProgress, ignore_progress
from trainer.data.dataset import Indices, add_dataset, index_of
from trainer.data.hub_dataset import fetch_dataset
from trainer.data.mixing import mix_datasets


def find_dataset(
    home: Home,
    reference: str | Mapping[str, float],
    columns: Mapping[str, str] | None = None,
    tell: OnProgress = ignore_progress,
) -> DatasetFolder:
    """Find the dataset that a config names: an id of this home, a file, a Hub dataset, or a mix of several.

    Raises:
        FineTuneError: the dataset doesn't exist or can't be used.
    """
    if not isinstance(reference, str):
        weights: dict[str, float] = {}
        for part, weight in reference.items():  # two names for the same content are one part
            dataset = find_dataset(home, part, columns, tell).id
            weights[dataset] = weights.get(dataset, 0) + weight
        return mix_datasets(home, weights)
    if reference == UNKNOWN_DATA:
        raise FineTuneError.of(Code.DATA_UNKNOWN)
    if reference.startswith("hub:"):
        path, name = fetch_dataset(home, reference, tell)
        return add_dataset(home, path, columns, name=name, tell=tell)
    if _is_id(reference) and DatasetReport.of(home.dataset(reference)) is not None:
        return home.dataset(reference)
    source = Path(reference).expanduser()
    if _is_id(reference) and not source.exists():
        raise FineTuneError.of(Code.DATASET_NOT_FOUND, value=reference)
    return add_dataset(home, source, columns, tell=tell)


def load_dataset(
    home: Home, reference: str | Mapping[str, float], columns: Mapping[str, str] | None = None, bad_rows: str = "stop"
) -> tuple[ExampleFile, Indices, DatasetReport]:
    """Return a dataset's rows, the positions of the rows to use, and its report.

    Raises:
        FineTuneError: the dataset doesn't exist, has changed since it was added, or has invalid rows and
            `bad_rows` is "stop".
    """
    folder = find_dataset(home, reference, columns)
    report = DatasetReport.required(folder)
    seen = sha256_of(folder.examples) if folder.examples.is_file() else "missing"
    if seen != report.examples_sha256:
        expected = report.examples_sha256[:12]
        raise FineTuneError.of(Code.DATASET_CHANGED, path=str(folder.examples), seen=seen[:12], expected=expected)
    if refused := report.blocking(bad_rows):
        raise FineTuneError(refused)
    examples = ExampleFile(folder)
    used = numpy.arange(len(examples))
    if bad_rows == "skip":
        used = used[index_of(folder)["flags"] & SUSPICIOUS == 0]
    return examples, used, report


def _is_id(reference: str) -> bool:
    return len(reference) == 16 and all(character in "0123456789abcdef" for character in reference)
