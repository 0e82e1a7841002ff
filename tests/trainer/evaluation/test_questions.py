"""What is evaluated: unseen rows, a fixed choice of many, and the general questions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import regex

from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.evaluations import EvaluationSpec, read_questions
from interfaces.folders import Home
from interfaces.job_folders import EvaluationFolder
from interfaces.problems import Code
from tests.conftest import alpaca_rows, write_rows
from trainer.evaluation.questions import gather, general_questions, write_questions


@pytest.fixture
def folder(home: Home) -> EvaluationFolder:
    return EvaluationFolder.create(home.create_run())


def config(tmp_path: Path, **settings: object) -> FineTuneConfig:
    train = write_rows(tmp_path / "train.jsonl", alpaca_rows(20))
    return FineTuneConfig.model_validate({"dataset": str(train), **settings})


def test_rows_that_cannot_be_evaluated_are_counted(folder: EvaluationFolder, tmp_path: Path) -> None:
    rows = [*alpaca_rows(33)[30:], {"instruction": "Say 31.", "output": ""}, *alpaca_rows(31)[30:]]
    file = write_rows(tmp_path / "tests.jsonl", rows)
    found = gather(folder, EvaluationSpec(dataset=str(file), dataset_name="tests.jsonl"), config(tmp_path))
    [warning] = found.warnings
    assert (warning.code, warning.params["rows"]) == (Code.EVALUATION_LEFT_OUT, 5)
    assert warning.params["count"] == 5 - len(found.questions) > 0


def test_rows_that_were_trained_on_are_left_out(folder: EvaluationFolder, tmp_path: Path) -> None:
    tests = write_rows(tmp_path / "tests.jsonl", alpaca_rows(30)[15:])
    rows = gather(folder, EvaluationSpec(dataset=str(tests)), config(tmp_path, validation_split=0))
    assert (len(rows.questions), rows.leaked) == (10, 5)
    assert [problem.code for problem in rows.warnings] == [Code.LEAK_REMOVED]
    assert rows.questions[0].asked[0].content == "Say 20."
    assert rows.questions[0].row == 6
    seen = write_rows(tmp_path / "seen.jsonl", alpaca_rows(3))
    with pytest.raises(FineTuneError) as caught:
        gather(
            folder, EvaluationSpec(dataset=str(seen), dataset_name="seen.jsonl"), config(tmp_path, validation_split=0)
        )
    assert caught.value.problems[0].code is Code.ALL_TRAINED_ON


def test_rows_kept_for_validation_are_those_of_the_run(folder: EvaluationFolder, tmp_path: Path) -> None:
    rows = gather(folder, EvaluationSpec(dataset="held_out", probe=True), config(tmp_path, validation_split=0.2))
    assert Counter(one.set for one in rows.questions) == {"data": 4, "probe": 60}
    assert [one.number for one in rows.questions] == list(range(1, 65))
    with pytest.raises(FineTuneError) as caught:
        gather(folder, EvaluationSpec(dataset="held_out"), config(tmp_path, validation_split=0))
    assert caught.value.problems[0].code is Code.NOTHING_HELD_OUT
    write_questions(folder, rows.questions)
    assert read_questions(folder) == rows.questions


def test_of_many_rows_always_the_same_are_chosen(folder: EvaluationFolder, tmp_path: Path) -> None:
    tests = write_rows(tmp_path / "tests.jsonl", alpaca_rows(90)[20:])
    chosen = [
        [one.row for one in gather(folder, EvaluationSpec(dataset=str(tests), max_rows=12, seed=seed), config(tmp_path)).questions]
        for seed in (0, 0, 1)
    ]  # fmt: skip
    assert len(chosen[0]) == 12
    assert chosen[0] == chosen[1] == sorted(chosen[0])
    assert chosen[0] != chosen[2]


def test_a_removed_training_dataset_is_said_and_prevents_nothing(folder: EvaluationFolder, tmp_path: Path) -> None:
    tests = write_rows(tmp_path / "tests.jsonl", alpaca_rows(3))
    gone = FineTuneConfig(dataset="0123456789abcdef")
    rows = gather(folder, EvaluationSpec(dataset=str(tests)), gone)
    assert len(rows.questions) == 3
    assert [(one.code, one.severity) for one in rows.warnings] == [(Code.DATASET_NOT_FOUND, "warning")]


def test_general_questions_are_of_four_kinds_and_accept_their_own_answers() -> None:
    questions = general_questions()
    assert set(Counter(one.kind for one in questions).values()) == {15}
    assert len({one.asked[0].content for one in questions}) == 60
    chinese = [one for one in questions if regex.search(r"\p{Han}", one.asked[0].content)]
    assert 24 <= len(chinese) <= 36
    for one in questions:
        assert one.reference is not None
        assert any(regex.search(pattern, one.reference.content) for pattern in one.accept), one
        assert not any(regex.search(pattern, "") for pattern in one.accept), one
