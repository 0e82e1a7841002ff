"""A changed copy of a dataset: checked rows, counts, a readable difference, and the old one as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interfaces.dataset_records import DatasetReport
from interfaces.dataset_requests import RowChange
from interfaces.errors import FineTuneError
from interfaces.example import Example, Message
from interfaces.example_file import ExampleFile
from interfaces.files import write_json
from interfaces.folders import DatasetFolder, Home
from interfaces.problems import Code
from trainer.data.changing import change_rows
from trainer.data.dataset import add_dataset, is_whole


@pytest.fixture
def folder(home: Home, tmp_path: Path) -> DatasetFolder:
    file = tmp_path / "rows.jsonl"
    file.write_text(
        "".join(json.dumps({"instruction": f"Question {n}?", "output": f"Answer {n}."}) + "\n" for n in range(5))
    )
    return add_dataset(home, file)


def talk(question: str, answer: str, train: bool = True) -> Example:
    turns = (Message(role="user", content=question), Message(role="assistant", content=answer, train=train))
    return Example(messages=turns, row=1)


def answers(folder: DatasetFolder) -> list[str]:
    return [example.messages[-1].content for example in ExampleFile(folder)]


def test_rows_are_replaced_removed_and_added(home: Home, folder: DatasetFolder) -> None:
    before = answers(folder)
    write_json(folder.meta, {"name": "My rows"})
    new = change_rows(home, folder, {1: talk("Who?", "I."), 3: None}, [talk("Where?", "Here.")])
    assert answers(new) == ["Answer 0.", "I.", "Answer 2.", "Answer 4.", "Here."]
    assert answers(folder) == before
    report = DatasetReport.required(new)
    assert report.origin is not None
    assert report.origin.model_dump() == {"dataset": folder.id, "changed": 1, "removed": 1, "added": 1, "left_out": 0}
    assert (report.rows, report.valid, report.usable, report.name) == (5, 5, 5, "rows.jsonl")
    assert new.meta.read_bytes() == folder.meta.read_bytes()
    assert [row.row for row in ExampleFile(new)] == [1, 2, 3, 5, 6]
    lines = [RowChange.model_validate_json(line) for line in new.difference.read_bytes().splitlines()]
    said = [
        (one.position, one.before and one.before.messages[-1].content, one.after and one.after.messages[-1].content)
        for one in lines
    ]
    assert said == [(1, "Answer 1.", "I."), (3, "Answer 3.", None), (None, None, "Here.")]
    assert is_whole(new)
    assert change_rows(home, folder, {1: talk("Who?", "I."), 3: None}, [talk("Where?", "Here.")]).id == new.id


def test_a_changed_row_keeps_its_place_and_is_checked_like_any_other(home: Home, folder: DatasetFolder) -> None:
    twice = Example(
        messages=(
            Message(role="user", content="A"),
            Message(role="user", content="B"),
            Message(role="assistant", content="C", train=True),
        ),
        row=1,
    )
    report = DatasetReport.required(change_rows(home, folder, {0: twice}))
    assert (report.suspicious, report.valid, report.kinds) == (1, 4, {"row_role_order": 1})


@pytest.mark.parametrize(
    ("example", "code"),
    [
        (talk("Who?", ""), Code.ROW_FIELD_EMPTY), (talk("Who?", "I.", train=False), Code.ROW_NO_ANSWER),
        (Example(text=" ", row=1), Code.ROW_FIELD_EMPTY),
    ],
)  # fmt: skip
def test_a_row_of_nonsense_is_refused(home: Home, folder: DatasetFolder, example: Example, code: Code) -> None:
    with pytest.raises(FineTuneError) as raised:
        change_rows(home, folder, {0: example})
    assert raised.value.problems[0].code == code
    assert [path.name for path in home.datasets.iterdir()] == [folder.id]


def test_unknown_rows_and_an_empty_result_are_refused(home: Home, folder: DatasetFolder) -> None:
    with pytest.raises(FineTuneError) as raised:
        change_rows(home, folder, {5: None})
    assert raised.value.problems[0].code == Code.ROW_NUMBER_UNKNOWN
    with pytest.raises(FineTuneError) as raised:
        change_rows(home, folder, dict.fromkeys(range(5)))
    assert raised.value.problems[0].code == Code.NO_ROWS_LEFT


def test_without_any_change_it_is_the_dataset_itself(home: Home, folder: DatasetFolder) -> None:
    assert change_rows(home, folder, {}) == folder
    assert [path.name for path in home.datasets.iterdir()] == [folder.id]


def test_rows_with_errors_are_left_out_and_counted(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "faults.jsonl"
    file.write_text(
        '{"instruction": "A?", "output": "B."}\n{"instruction": "no answer"}\n{"instruction": "C?", "output": "D."}\n'
    )
    folder = add_dataset(home, file)
    report = DatasetReport.required(change_rows(home, folder, {1: None}))
    assert report.origin is not None
    assert (report.origin.left_out, report.rows, report.invalid) == (1, 1, 0)
