"""What the process that handles an end does is tested with the queue, with notifications, and with evaluations."""

from __future__ import annotations

import pytest

from interfaces.folders import Home
from studio import ending
from tests.support.evaluations import answers, question, recorded_evaluation
from tests.support.records import recorded_run


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
