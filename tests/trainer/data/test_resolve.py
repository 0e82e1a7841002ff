"""What a config names, found and loaded."""

import json
from pathlib import Path

import pytest

from interfaces.dataset_records import DatasetReport
from interfaces.errors import FineTuneError
from interfaces.example_file import ExampleFile
from interfaces.folders import Home
from interfaces.problems import Code
from tests.conftest import alpaca_rows, write_rows
from trainer.data.dataset import add_dataset
from trainer.data.resolve import find_dataset, load_dataset


def test_a_dataset_that_was_tampered_with_is_refused(home: Home, rows_file: Path) -> None:
    folder = add_dataset(home, rows_file)
    lines = folder.examples.read_text().splitlines()
    folder.examples.write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(FineTuneError) as raised:
        load_dataset(home, folder.id)
    assert raised.value.problems[0].code == Code.DATASET_CHANGED


def test_invalid_rows_are_named_and_block_or_skip(home: Home, tmp_path: Path) -> None:
    rows = [*alpaca_rows(30), *({"instruction": f"q{number}"} for number in range(25))]
    folder = add_dataset(home, write_rows(tmp_path / "bad.jsonl", rows))
    report = DatasetReport.required(folder)
    assert (report.rows, report.valid, report.invalid) == (55, 30, 25)
    with pytest.raises(FineTuneError) as raised:
        load_dataset(home, folder.id)
    problem = raised.value.problems[0]
    assert (problem.code, problem.params["count"], problem.params["rows"]) == (Code.BAD_ROWS, 25, 55)
    assert [row["params"]["line"] for row in problem.params["first"]] == list(range(31, 51))
    every = [json.loads(line) for line in folder.problems.read_text().splitlines()]
    assert [(record["line"], record["text"]) for record in every][-1] == (55, '{"instruction": "q24"}')
    _, used, _ = load_dataset(home, folder.id, bad_rows="skip")
    assert len(used) == 30


def test_suspicious_rows_are_trained_unless_they_are_left_out(home: Home, tmp_path: Path) -> None:
    rows = alpaca_rows(5)
    folder = add_dataset(home, write_rows(tmp_path / "rows.jsonl", [*rows, rows[0]]))
    assert len(load_dataset(home, folder.id)[1]) == 6
    assert load_dataset(home, folder.id, bad_rows="skip")[1].tolist() == [0, 1, 2, 3, 4]


def test_removed_dataset_is_not_reported_as_missing_file(home: Home) -> None:
    with pytest.raises(FineTuneError) as raised:
        find_dataset(home, "0123456789abcdef")
    assert raised.value.problems[0].code == Code.DATASET_NOT_FOUND


def test_rows_that_were_downloaded_are_read_as_they_were(home: Home, tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "q"}, {"role": "assistant", "content": "draft", "weight": 0},
        {"role": "user", "content": "better"}, {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": {"x": 1}}]},
        {"role": "tool", "content": "1", "name": "f"}, {"role": "assistant", "content": "a", "reasoning": "because"},
    ]  # fmt: skip
    rows = [{"messages": turns, "tools": [{"name": "f"}]}, {"messages": turns[:1] + turns[-1:]}]
    folder = add_dataset(home, write_rows(tmp_path / "rows.jsonl", rows))
    again = add_dataset(home, folder.examples, name="again.jsonl")
    assert again != folder
    assert [(one.messages, one.tools) for one in ExampleFile(again)] == [
        (one.messages, one.tools) for one in ExampleFile(folder)
    ]
