"""`finetune evaluate`: a table for people, JSON for programs, rows in a file, a gate as exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.folders import Home
from studio.runs.queue import RunQueue
from tests.conftest import alpaca_rows, write_rows
from tests.support.adapters import run_with_adapter
from tests.support.evaluations import answers, question, recorded_evaluation
from tests.support.records import recorded_run

FINETUNE = str(Path(sys.executable).parent / "finetune")


def evaluate(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [FINETUNE, "evaluate", *arguments, "--home", str(home.path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.tiny
def test_a_file_is_evaluated_and_shown_again(home: Home, tiny_model: Path, tmp_path: Path) -> None:
    run_with_adapter(home, tiny_model, bf16=False, cpu_threads=1)
    file, rows = write_rows(tmp_path / "tests.jsonl", alpaca_rows(8)), tmp_path / "rows.csv"
    ended = evaluate(home, "last", "--data", str(file), "--max-new-tokens", "6", "--rows", str(rows))
    assert ended.returncode == 0, ended.stderr
    assert [line.split("  ")[0] for line in ended.stdout.splitlines() if "tell" in line][:2] == ["Loss", "Perplexity"]
    assert len(rows.read_text().splitlines()) == 9
    again = evaluate(home, "last", "--resume", "1", "--json", "--gate", "loss < 1")
    shown = json.loads(again.stdout)
    assert (shown["state"], shown["data_rows"], shown["table"][0]["name"]) == ("finished", 8, "loss")
    failed = evaluate(home, "last", "--data", str(file), "--max-new-tokens", "6", "--no-base", "--gate", "loss < 0.001")
    assert failed.returncode == 1
    assert "The gate is not passed: loss < 0.001" in failed.stdout
    assert "BASE MODEL" in failed.stdout


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere",), "Run 'nowhere' not found"),
        (("last", "--general"), "no result"),
        (("last", "--metric", "bleu"), "rouge_l"),
        (("last", "--resume", "5"), "has no evaluation 5"),
        (("last", "--resume", "5", "--max-rows", "3"), "without settings"),
        (("last", "--gate", " "), "--gate is required"),
        (("last", "--pattern", ""), "--pattern is required"),
        (("last", "--gate", "exact match >= 80"), "from 0 to 1"),
        (("last", "--rows", "gone/rows.csv"), "in a folder that exists"),
        (("last", "--rows", "rows.txt"), ".csv or .jsonl"),
        (("last", "--rows", __file__), "is not overwritten"),
        (("last", "--resume", "5", "--gate", "good"), "'good' isn't a condition"),
        (("last", "--general", "--no-base", "--gate", "forgetting < 2"), "base model's answers"),
        (("last", "--gate", "good"), "'good' isn't a condition"),
        (("last", "--json-schema", "gone.json"), "gone.json"),
        (("last", "--data", "gone.jsonl"), "gone.jsonl"),
        (("last", "--pattern", "("), "regular expression"),
    ],
)
def test_what_cannot_be_evaluated_is_a_sentence(home: Home, arguments: tuple[str, ...], says: str) -> None:
    recorded_run(home)
    ended = evaluate(home, *arguments)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.process
def test_a_waiting_evaluation_is_moved_and_stopped_in_the_terminal(home: Home) -> None:
    run = recorded_run(home)
    run.adapter.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (run.adapter / name).write_text("{}")
    RunQueue(home).pause()
    assert "Queued" in evaluate(home, "last", "--general", "--detach").stdout
    for command, says in (
        (["queue", "move", "last.1", "1"], "position 1"),
        (["stop", "last.1"], f"evaluate {run.id} --resume 1"),
    ):
        ended = subprocess.run(
            [FINETUNE, *command, "--home", str(home.path)], capture_output=True, text=True, timeout=120, check=False
        )
        assert says in ended.stdout, ended.stderr
    assert not RunQueue(home).waiting()


@pytest.mark.process
def test_a_finished_evaluation_is_only_shown(home: Home) -> None:
    questions = [question(number, "Q", "yes") for number in range(1, 9)]
    lines = [line for one in questions for line in answers(one.number, "no", "yes")]
    recorded_evaluation(recorded_run(home), questions, lines)
    ended = evaluate(home, "last", "--resume", "1")
    assert ended.returncode == 0
    assert "Exact match  8     0.000 [0.000, 0.324]  1.000 [0.676, 1.000]  +1.000" in ended.stdout
    assert "better" in ended.stdout
    assert evaluate(home, "last", "--resume", "1", "--gate", "exact match > 0.9").returncode == 0
    assert evaluate(home, "last", "--resume", "1", "--gate", "exact match < 0.9").returncode == 1
