import json
from pathlib import Path

import pytest

from interfaces.folders import Home, read_json
from interfaces.problems import Code, FineTuneError
from tests.conftest import SAMPLES, alpaca_rows, write_rows
from trainer.dataset import add_dataset, load_dataset, read_examples, split_examples


def refused(home: Home, path: Path) -> FineTuneError:
    with pytest.raises(FineTuneError) as raised:
        add_dataset(home, path)
    return raised.value


def test_a_file_becomes_a_dataset_once(home: Home, rows_file: Path) -> None:
    folder = add_dataset(home, rows_file)
    assert folder.source(".jsonl").read_bytes() == rows_file.read_bytes()
    report = read_json(folder.report)
    assert report is not None
    assert (report["name"], report["format"], report["rows"], report["good"]) == ("rows.jsonl", "alpaca", 8, 8)
    assert add_dataset(home, rows_file) == folder
    assert len(list(home.datasets.iterdir())) == 1


def test_a_dataset_stays_what_it_was_when_its_file_changes(home: Home, rows_file: Path) -> None:
    folder = add_dataset(home, rows_file)
    rows_file.write_text("changed")
    _, examples, _ = load_dataset(home, folder.id)
    assert len(examples) == 8


def test_a_dataset_that_was_tampered_with_is_refused(home: Home, rows_file: Path) -> None:
    folder = add_dataset(home, rows_file)
    lines = folder.examples.read_text().splitlines()
    folder.examples.write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(FineTuneError) as raised:
        load_dataset(home, folder.id)
    assert raised.value.problems[0].code == Code.DATASET_CHANGED


def test_bad_rows_stop_everything_and_leave_nothing(home: Home, tmp_path: Path) -> None:
    rows = [*alpaca_rows(30), *({"instruction": f"q{number}"} for number in range(25))]
    problem = refused(home, write_rows(tmp_path / "bad.jsonl", rows)).problems[0]
    assert (problem.code, problem.params["count"], problem.params["rows"]) == (Code.BAD_ROWS, 25, 55)
    assert [row["params"]["line"] for row in problem.params["first"]] == list(range(31, 51))
    assert not home.datasets.exists()


def test_a_folder_or_nothing_is_no_file(home: Home, tmp_path: Path) -> None:
    assert refused(home, tmp_path).problems[0].code == Code.FILE_UNREADABLE
    assert refused(home, tmp_path / "none.json").problems[0].code == Code.FILE_MISSING
    assert refused(home, write_rows(tmp_path / "none.json", [])).problems[0].code == Code.FILE_EMPTY
    (tmp_path / "empty.csv").write_text("prompt,completion\n")
    assert refused(home, tmp_path / "empty.csv").problems[0].code == Code.FILE_EMPTY


@pytest.mark.parametrize(("share", "kept_aside"), [(0, 0), (0.1, 2), (0.01, 1), (0.5, 10)])
def test_the_split_is_by_seed_whole_and_apart(rows_file: Path, tmp_path: Path, share: float, kept_aside: int) -> None:
    examples, _, _ = read_examples(write_rows(tmp_path / "rows.jsonl", alpaca_rows(20)))
    train, validation = split_examples(examples, share, seed=1)
    assert len(validation) == kept_aside
    assert sorted(example.row for example in train + validation) == list(range(1, 21))
    assert split_examples(examples, share, seed=1) == (train, validation)
    if kept_aside:
        assert split_examples(examples, share, seed=2)[1] != validation


def test_a_single_row_is_trained_not_kept_aside(tmp_path: Path) -> None:
    examples, _, _ = read_examples(write_rows(tmp_path / "one.jsonl", alpaca_rows(1)))
    assert split_examples(examples, 0.5, seed=1) == (examples, [])


def test_the_samples_that_come_with_the_product_are_sound() -> None:
    rows = {"lumo-lantern.jsonl": 100, "lumo-support-chat.jsonl": 24, "lumo-lantern-zh.jsonl": 40}
    for name, count in rows.items():
        examples, problems, _ = read_examples(SAMPLES / name)
        assert (len(examples), problems) == (count, []), name
    questions = [json.loads(line) for line in (SAMPLES / "lumo-lantern-questions.jsonl").read_text().splitlines()]
    trained = [example.messages for example in read_examples(SAMPLES / "lumo-lantern.jsonl")[0]]
    assert len(questions) == 10
    for row in questions:
        # Held out, answerable, and not given away by the question.
        assert row["question"] not in [messages[0].content for messages in trained]
        assert any(all(piece in messages[1].content for piece in row["expect"]) for messages in trained)
        assert not any(piece.lower() in row["question"].lower() for piece in row["expect"])


def test_adding_the_file_again_mends_a_dataset_that_was_tampered_with(home: Home, rows_file: Path) -> None:
    folder = add_dataset(home, rows_file)
    with folder.examples.open("a") as file:
        file.write("x")
    add_dataset(home, rows_file)
    assert len(load_dataset(home, folder.id)[1]) == 8
