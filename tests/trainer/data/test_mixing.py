from collections import Counter
from pathlib import Path

import pytest

from interfaces.dataset_records import DatasetReport
from interfaces.errors import FineTuneError
from interfaces.example_file import ExampleFile
from interfaces.folders import Home
from interfaces.problems import Code
from tests.conftest import alpaca_rows, write_rows
from trainer.data.dataset import add_dataset
from trainer.data.mixing import mix_datasets
from trainer.data.resolve import load_dataset


@pytest.fixture
def parts(home: Home, tmp_path: Path) -> tuple[str, str]:
    pairs = [{"prompt": f"p{n}", "completion": "c"} for n in range(10)]
    return (
        add_dataset(home, write_rows(tmp_path / "a.jsonl", alpaca_rows(4))).id,
        add_dataset(home, write_rows(tmp_path / "b.jsonl", [*pairs, {"prompt": "p"}])).id,
    )


def test_weight_is_row_frequency(home: Home, parts: tuple[str, str]) -> None:
    folder = mix_datasets(home, {parts[0]: 2.5, parts[1]: 0.5})
    examples = list(ExampleFile(folder))
    assert Counter(example.source for example in examples) == {0: 10, 1: 5}
    assert (
        sorted(Counter((example.source, example.row) for example in examples).values()) == [1] * 5 + [2] * 2 + [3] * 2
    )
    report = DatasetReport.required(folder)
    assert (report.usable, report.invalid, report.sources) == (15, 1, ["a.jsonl", "b.jsonl"])


def test_a_mix_is_made_once_and_known_by_its_recipe(home: Home, parts: tuple[str, str]) -> None:
    one = mix_datasets(home, {parts[0]: 1, parts[1]: 1})
    assert mix_datasets(home, {parts[0]: 1, parts[1]: 1}) == one
    assert mix_datasets(home, {parts[0]: 1, parts[1]: 2}) != one


def test_invalid_rows_of_a_mix_part_block_start(home: Home, parts: tuple[str, str]) -> None:
    with pytest.raises(FineTuneError) as raised:
        load_dataset(home, {parts[0]: 1, parts[1]: 1})
    assert raised.value.problems[0].code == Code.BAD_ROWS
    assert len(load_dataset(home, {parts[0]: 1, parts[1]: 1}, bad_rows="skip")[1]) == 14


def test_a_part_that_is_not_there_is_a_problem(home: Home, parts: tuple[str, str]) -> None:
    with pytest.raises(FineTuneError) as raised:
        mix_datasets(home, {parts[0]: 1, "0" * 16: 1})
    assert raised.value.problems[0].code == Code.DATASET_NOT_FOUND


def test_counts_of_a_mix_are_those_of_its_rows(home: Home, tmp_path: Path) -> None:
    same = add_dataset(home, write_rows(tmp_path / "same.jsonl", alpaca_rows(1) * 10)).id
    good = add_dataset(home, write_rows(tmp_path / "good.jsonl", alpaca_rows(11)[1:])).id
    report = DatasetReport.required(mix_datasets(home, {same: 2, good: 1}))
    assert (report.rows, report.suspicious, report.valid, report.kinds) == (30, 18, 12, {"row_duplicate": 18})
    folder = mix_datasets(home, {same: 0.5, good: 0.5})
    report = DatasetReport.required(folder)
    assert report.valid + report.suspicious == report.rows == 10
    assert len(load_dataset(home, folder.id, bad_rows="skip")[1]) == report.valid


def test_equal_datasets_merge_and_add_their_weights(home: Home, tmp_path: Path) -> None:
    one = write_rows(tmp_path / "one.jsonl", alpaca_rows(4))
    other = write_rows(tmp_path / "other.jsonl", alpaca_rows(4))
    assert len(load_dataset(home, {str(one): 1, str(other): 2})[1]) == 12
