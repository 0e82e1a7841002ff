"""When a new run would start."""

from pathlib import Path

import pytest

from interfaces.folders import Home
from studio.runs.queue import RunQueue
from studio.runs.waiting_time import _left, wait_for
from tests.conftest import until
from tests.support.fake_runs import let_go, make_run
from tests.support.fakes import fake_trainer_package
from tests.support.records import recorded_run, step

pytestmark = pytest.mark.process


@pytest.fixture
def queue(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunQueue:
    for name, value in fake_trainer_package(tmp_path / "fake").items():
        monkeypatch.setenv(name, value)
    return RunQueue(home)


def test_free_device_has_no_wait_and_a_paused_queue_has_one(queue: RunQueue) -> None:
    assert wait_for(queue, "cpu") is None
    queue.pause()
    paused = wait_for(queue, "cpu")
    assert paused is not None
    assert (paused.runs, paused.seconds, paused.paused) == (0, 0, True)


def test_runs_before_it_are_counted_and_timed_where_they_can_be(queue: RunQueue) -> None:
    first, second = make_run(queue, "waits"), make_run(queue)
    try:
        queue.submit(first)
        queue.submit(second)
        wait = wait_for(queue, "cpu")
        assert wait is not None
        assert (wait.runs, wait.paused) == (2, False)
        assert wait.seconds is None  # neither has an estimate
        assert wait_for(queue, "cuda:0") is None
    finally:
        let_go(first)
        until(lambda: queue.running() == {})


def test_rest_of_a_run_counts_steps_not_logged_points(home: Home) -> None:
    points = [step(number, total=100).model_copy(update={"seconds": 5.0}) for number in (1, 11, 21)]
    folder = recorded_run(home, *points)
    assert _left(folder) == 0.5 * 79
