"""Divides a dataset into two: rows at random, with equal rows in the same part."""

from __future__ import annotations

import random
import shutil

from interfaces.dataset_records import DatasetReport
from interfaces.dataset_requests import DividedDatasets
from interfaces.errors import FineTuneError
from interfaces.example_file import ExampleFile
from interfaces.folders import DatasetFolder, Home
from interfaces.problems import Code
from interfaces.records import read_record
from interfaces.trainer_jobs import OnProgress, ignore_progress
from trainer.data.changing import write_changed


def divide(
    home: Home, folder: DatasetFolder, share: float, seed: int, tell: OnProgress = ignore_progress
) -> DividedDatasets:
    """Create two datasets from one; the second has about `share` of the rows.

    Raises:
        FineTuneError: one of them would be empty.
    """
    report, examples = DatasetReport.required(folder), ExampleFile(folder)
    groups: dict[int, list[int]] = {}
    for position in range(len(examples)):
        groups.setdefault(examples.entry(position)[1], []).append(position)
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    wanted = max(round(share * len(examples)), 1)
    second: set[int] = set()
    for group in order:
        if len(second) + len(group) <= wanted:
            second.update(group)
    if not second or len(second) == len(examples):
        raise FineTuneError.of(Code.NO_ROWS_LEFT, path=report.name)
    parts = [sorted(set(range(len(examples))) - second), sorted(second)]
    stem = str((read_record(folder.meta) or {}).get("name") or report.name)
    there = {path.name for path in home.datasets.iterdir()}
    made: list[str] = []
    try:
        for part, percent in zip(parts, (100 - 100 * share, 100 * share), strict=True):
            name = f"{stem} ({percent:.3g} %)"
            made.append(write_changed(home, folder, lambda _, line: line, (), tell, name, part).id)
    except BaseException:  # both or none
        for new in set(made) - there:
            shutil.rmtree(home.dataset(new).path)
        raise
    return DividedDatasets(first=made[0], second=made[1], rows=(len(parts[0]), len(parts[1])))
