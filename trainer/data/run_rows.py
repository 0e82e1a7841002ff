"""The rows of a run: those it trains on, and those it keeps for validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from interfaces.config import FineTuneConfig, method_of
from interfaces.dataset_records import DatasetReport
from interfaces.errors import FineTuneError
from interfaces.example_file import UNDESIRED, ExampleFile
from interfaces.folders import Home
from trainer.data.dataset import Indices, index_of
from trainer.data.resolve import load_dataset
from trainer.data.splitting import split_rows, without_leaks


@dataclass
class RunRows:
    """The training and validation rows of a run, by position. The latter may come from a separate dataset."""

    examples: ExampleFile
    training: Indices
    report: DatasetReport
    measured: ExampleFile
    kept_aside: Indices
    measured_report: DatasetReport
    leaked: Indices
    """The rows of the separate dataset that are also training rows, and so aren't kept aside."""
    candidates: int
    """The usable rows of the separate dataset, leaked ones included."""


def require_fit(report: DatasetReport, config: FineTuneConfig) -> None:
    """
    Raises:
        FineTuneError: the method can't train on such rows.
    """
    if unfit := report.unfit_for(config.method, config.bad_rows):
        raise FineTuneError(unfit)


def _wanted(used: Indices, index: Any, config: FineTuneConfig) -> Indices:
    """Leave out the answers that are marked as undesired, except for a method that learns from them."""
    return used if method_of(config).rows != "answers" else used[index[used]["flags"] & UNDESIRED == 0]


def rows_of_run(home: Home, config: FineTuneConfig) -> RunRows:
    """Return the rows of a run with this config.

    Raises:
        FineTuneError: a dataset doesn't exist, has changed since it was added, has invalid rows, or doesn't suit the method.
    """
    examples, used, report = load_dataset(home, config.dataset, config.columns, config.bad_rows)
    require_fit(report, config)
    index = index_of(examples.folder)
    used = _wanted(used, index, config)
    if not config.validation_dataset:
        training, kept_aside = split_rows(index, used, config.validation_split, config.seed)
        return RunRows(examples, training, report, examples, kept_aside, report, used[:0], len(used))
    measured, usable, measured_report = load_dataset(home, config.validation_dataset, config.columns, config.bad_rows)
    require_fit(measured_report, config)
    usable = _wanted(usable, index_of(measured.folder), config)
    kept_aside, leaked = without_leaks(index[used], index_of(measured.folder), usable)
    return RunRows(examples, used, report, measured, kept_aside, measured_report, leaked, len(usable))
