import json
from pathlib import Path

import pytest

from interfaces.dataset_records import DatasetReport
from interfaces.errors import FineTuneError
from interfaces.example import Example
from interfaces.example_file import ExampleFile
from interfaces.folders import Home
from interfaces.problems import Code
from tests.conftest import SAMPLES, alpaca_rows, write_rows
from trainer.data.dataset import add_dataset
from trainer.data.resolve import load_dataset


def examples_of(home: Home, path: Path) -> list[Example]:
    return list(ExampleFile(add_dataset(home, path)))


def refused(home: Home, path: Path) -> FineTuneError:
    with pytest.raises(FineTuneError) as raised:
        add_dataset(home, path)
    return raised.value


def test_a_file_becomes_a_dataset_once(home: Home, rows_file: Path) -> None:
    folder = add_dataset(home, rows_file)
    assert folder.source(".jsonl").read_bytes() == rows_file.read_bytes()
    report = DatasetReport.required(folder)
    assert (report.name, report.format, report.rows, report.valid) == ("rows.jsonl", "alpaca", 8, 8)
    assert add_dataset(home, rows_file) == folder
    assert len(list(home.datasets.iterdir())) == 1


def test_a_dataset_stays_what_it_was_when_its_file_changes(home: Home, rows_file: Path) -> None:
    folder = add_dataset(home, rows_file)
    rows_file.write_text("changed")
    _, examples, _ = load_dataset(home, folder.id)
    assert len(examples) == 8


def test_a_folder_or_nothing_is_no_file(home: Home, tmp_path: Path) -> None:
    assert refused(home, tmp_path).problems[0].code == Code.FILE_UNREADABLE
    assert refused(home, tmp_path / "none.json").problems[0].code == Code.FILE_MISSING
    assert refused(home, write_rows(tmp_path / "none.json", [])).problems[0].code == Code.FILE_EMPTY
    (tmp_path / "empty.csv").write_text("prompt,completion\n")
    assert refused(home, tmp_path / "empty.csv").problems[0].code == Code.FILE_EMPTY


def test_the_samples_that_come_with_the_product_are_sound(home: Home) -> None:
    rows = {"lumo-lantern.jsonl": 100, "lumo-support-chat.jsonl": 24, "lumo-lantern-zh.jsonl": 40}
    for name, count in rows.items():
        report = DatasetReport.required(add_dataset(home, SAMPLES / name))
        assert (report.valid, report.first) == (count, []), name
    questions = [json.loads(line) for line in (SAMPLES / "lumo-lantern-questions.jsonl").read_text().splitlines()]
    trained = [example.messages for example in examples_of(home, SAMPLES / "lumo-lantern.jsonl")]
    assert len(questions) == 10
    for row in questions:
        # Held out, answerable, and not given away by the question.
        assert row["question"] not in [messages[0].content for messages in trained]
        assert any(all(piece in messages[1].content for piece in row["expect"]) for messages in trained)
        assert not any(piece.lower() in row["question"].lower() for piece in row["expect"])


def test_re_adding_the_file_repairs_tampered_dataset(home: Home, rows_file: Path) -> None:
    folder = add_dataset(home, rows_file)
    with folder.examples.open("a") as file:
        file.write("x")
    add_dataset(home, rows_file)
    assert len(load_dataset(home, folder.id)[1]) == 8


def test_the_same_bytes_under_another_suffix_are_other_rows(home: Home, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.txt", alpaca_rows(3))
    as_text = add_dataset(home, path)
    as_rows = add_dataset(home, path.rename(tmp_path / "rows.jsonl"))
    assert (DatasetReport.required(as_text).format, DatasetReport.required(as_rows).format) == ("text", "alpaca")
    assert add_dataset(home, path.parent / "rows.jsonl") == as_rows
