"""What the process that handles an end does is tested with the queue, with notifications, and with evaluations."""

from __future__ import annotations

from pathlib import Path

import pytest

from interfaces.config import FineTuneConfig
from interfaces.evaluations import GateOutcome
from interfaces.events import Finished
from interfaces.folders import Home
from interfaces.job_folders import EvaluationFolder
from studio import ending
from studio.evaluation.evaluations import create_for_gate
from studio.runs.queue import RunQueue
from tests.support.evaluations import answers, question, recorded_evaluation
from tests.support.records import recorded_run, step


def test_an_evaluation_is_scored_even_if_another_step_fails(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = recorded_evaluation(recorded_run(home), [question(1, "Q", "yes")], answers(1, "no", "yes"))

    def fails(_queue: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr("studio.runs.queue.RunQueue.advance", fails)
    assert ending.main([str(home.path), folder.id]) == 0
    assert folder.result.is_file()


def test_the_end_of_a_run_is_diagnosed_and_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run, told = recorded_run(home), []
    monkeypatch.setattr(ending, "tell", told.append)
    monkeypatch.setattr(ending, "fix_of", told.append)
    ending.main([str(home.path), run.id])
    assert told == [run, run]


def test_ends_that_nobody_handled_are_handled_later(home: Home, tmp_path: Path) -> None:
    """Their supervisor was killed, or the machine was shut down."""
    RunQueue(home).pause()
    end = Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1)
    run, damaged = recorded_run(home, step(1), end), recorded_run(home, step(1), end)
    for folder in (run, damaged):
        folder.adapter.mkdir()
        (folder.adapter / "adapter_config.json").write_text("{}")
        create_for_gate(folder, FineTuneConfig(dataset="d", gate="loss < 1"))
    EvaluationFolder.all_of(damaged)[0].config.write_text("{")
    scored = recorded_evaluation(
        run, [question(1, "Q", "yes")], answers(1, "no", "yes"), gate="exact match > 0", recipe=True
    )
    ending.catch_up(home)
    assert [one.run for one in RunQueue(home).waiting()] == [f"{run.id}.1"]
    outcome = GateOutcome.of(run)
    assert outcome is not None
    assert (outcome.passed, outcome.evaluation) == (True, scored.number)
