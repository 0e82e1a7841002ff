"""Two datasets from one: no row is lost, and equal rows stay together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interfaces.dataset_records import DatasetReport
from interfaces.errors import FineTuneError
from interfaces.example_file import ExampleFile
from interfaces.folders import DatasetFolder, Home
from trainer.data.dataset import add_dataset
from trainer.data.dividing import divide


def dataset(home: Home, tmp_path: Path, names: list[str]) -> DatasetFolder:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"instruction": name, "output": "I."}) + "\n" for name in names))
    return add_dataset(home, file)


def asked(home: Home, dataset_id: str) -> list[str]:
    return [example.messages[0].content for example in ExampleFile(home.dataset(dataset_id))]


def test_rows_are_divided_at_random_but_the_same_each_time(home: Home, tmp_path: Path) -> None:
    names = [f"Question {n}" for n in range(100)]
    folder = dataset(home, tmp_path, names)
    made = divide(home, folder, 0.2, 1)
    first, second = asked(home, made.first), asked(home, made.second)
    assert made.rows == (len(first), len(second)) == (80, 20)
    assert sorted(first + second) == sorted(names)
    assert second != names[-20:]
    assert divide(home, folder, 0.2, 1) == made
    assert divide(home, folder, 0.2, 2).second != made.second
    assert [DatasetReport.required(home.dataset(one)).name for one in (made.first, made.second)] == [
        "rows.jsonl (80 %)",
        "rows.jsonl (20 %)",
    ]


def test_equal_rows_stay_together(home: Home, tmp_path: Path) -> None:
    made = divide(home, dataset(home, tmp_path, [f"Question {n // 2}" for n in range(100)]), 0.3, 1)
    assert not set(asked(home, made.first)) & set(asked(home, made.second))


def test_a_part_without_rows_is_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(FineTuneError):
        divide(home, dataset(home, tmp_path, ["Who?"]), 0.5, 1)
