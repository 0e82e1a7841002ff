"""What a run says about its rows, at the place where a person would look: in its events."""

from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Failed, Warned, read_events
from interfaces.files import read_json
from interfaces.folders import Home
from interfaces.problems import Code
from tests.conftest import alpaca_rows, write_rows

pytestmark = pytest.mark.tiny


def warnings_of_run(home: Home, config: dict[str, Any]) -> dict[Code, dict[str, Any]]:
    from trainer.lora_trainer import LoRATrainer

    folder = home.create_run()
    LoRATrainer(folder).train({"max_steps": 1, **config})
    events = read_events(folder.events)
    problems = [event.problem for event in events if isinstance(event, Warned | Failed)]
    return {problem.code: problem.params for problem in problems}


def test_suspicious_rows_are_trained_or_skipped_with_warning(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    rows = alpaca_rows(8)
    path = write_rows(tmp_path / "rows.jsonl", [*rows, rows[0], rows[1]])
    reported = warnings_of_run(home, {**tiny_config, "dataset": str(path)})
    assert reported[Code.SUSPICIOUS_ROWS] == {"count": 2, "rows": 10, "kinds": {"duplicate": 2}}
    reported = warnings_of_run(home, {**tiny_config, "dataset": str(path), "bad_rows": "skip"})
    assert reported[Code.ROWS_SKIPPED] == {"count": 2, "rows": 10, "kinds": {"duplicate": 2}}


def test_invalid_rows_block_start_or_are_counted(home: Home, tiny_config: dict[str, Any], tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [*alpaca_rows(4), {"instruction": "q"}])
    reported = warnings_of_run(home, {**tiny_config, "dataset": str(path)})
    assert reported[Code.BAD_ROWS]["first"][0]["params"]["line"] == 5
    reported = warnings_of_run(home, {**tiny_config, "dataset": str(path), "bad_rows": "skip"})
    assert (Code.BAD_ROWS in reported, reported[Code.ROWS_SKIPPED]["count"]) == (False, 1)


@pytest.mark.parametrize(
    ("long_rows", "code", "count"),
    [("truncate", Code.ROWS_CUT, 3), ("drop", Code.ROWS_DROPPED, 3), ("split", Code.ROWS_SPLIT, 1)],
)
def test_long_rows_are_reported_with_their_handling(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path, long_rows: str, code: Code, count: int
) -> None:
    talk = [{"role": role, "content": text} for text in ("a", "b") for role in ("user", "assistant")]
    long = [{"messages": [{**turn, "content": turn["content"] * 40} for turn in talk]}]
    single = [{"messages": [talk[0], {"role": "assistant", "content": letter * 200}]} for letter in "xy"]
    path = write_rows(tmp_path / "rows.jsonl", [{"messages": talk}, *long, *single])
    reported = warnings_of_run(home, {**tiny_config, "dataset": str(path), "long_rows": long_rows})
    assert reported[code]["count"] == count
    assert (Code.ROWS_CUT in reported) == (long_rows != "drop")


def test_validation_file_is_used_without_leaks(home: Home, tiny_config: dict[str, Any], tmp_path: Path) -> None:
    measured = write_rows(tmp_path / "measure.jsonl", alpaca_rows(12)[6:])
    reported = warnings_of_run(home, {**tiny_config, "validation_dataset": str(measured), "eval_steps": 1})
    assert reported[Code.LEAK_REMOVED] == {"count": 2, "rows": 6, "first": [1, 2]}
    [run] = home.runs.iterdir()
    lineage = read_json(run / "lineage.json") or {}
    assert lineage["validation_dataset"]["name"] == "measure.jsonl"
    assert lineage["dataset"]["sha256"] != lineage["validation_dataset"]["sha256"]


def test_weighted_mix_trains_and_is_recorded(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path, rows_file: Path
) -> None:
    other = write_rows(tmp_path / "other.jsonl", [{"prompt": f"p{n}", "completion": "c"} for n in range(4)])
    warnings_of_run(home, {**tiny_config, "dataset": {str(rows_file): 1, str(other): 0.5}})
    [run] = home.runs.iterdir()
    lineage = read_json(run / "lineage.json") or {}
    assert lineage["dataset"]["rows"] == 10
    assert [part["weight"] for part in lineage["dataset"]["parts"]] == [1, 0.5]
