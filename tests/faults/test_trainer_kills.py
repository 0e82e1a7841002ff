"""The trainer is killed at random moments, half of them in the midst of a save; or terminated, which it handles."""

import signal
from typing import Any

import pytest

from interfaces.events import Event, Finished, Stopped, read_tail
from interfaces.folders import Home
from tests.faults.rig import Moments, Nursery, Result, check_equal, check_no_torn_commit, new_run, rounds

pytestmark = pytest.mark.tiny


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["KILL", "TERM"])
def test_repeatedly_killed_run_reaches_the_same_weights(
    home: Home, nursery: Nursery, fault_job: dict[str, Any], undisturbed: Result, number: signal.Signals
) -> None:
    kills, moments = rounds(4, "KILLS"), Moments()
    done = finished = 0
    folder = new_run(home, fault_job)
    last: Event | None = None
    while done < kills or not isinstance(last, Finished):
        if isinstance(last, Finished):
            folder = new_run(home, fault_job)
        attempt = nursery.start(folder)
        if done < kills and moments.wait(attempt, longest=2.0):
            attempt.signal(number)
            done += 1
        code = attempt.wait()
        check_no_torn_commit(folder)
        last = (read_tail(folder.events) or [None])[-1]
        if number is signal.SIGTERM and attempt.reported():  # before its first word it may not listen yet
            assert code == 0, folder.log.read_text()[-2000:]
            assert isinstance(last, Stopped | Finished)
        if isinstance(last, Finished):
            check_equal(folder, undisturbed)
            finished += 1
    print(f"{done} x {number.name} ({moments.into_saves} into a save) in {finished} runs: all equal")
    assert moments.into_saves >= kills // 4
