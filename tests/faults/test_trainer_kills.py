"""The trainer is killed at random moments, half of them in the midst of a save; or terminated, which it handles."""

import signal
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Event, Finished, Stopped, read_tail
from interfaces.folders import Home
from interfaces.method_settings import METHODS
from tests.faults.rig import (
    Moments,
    Nursery,
    Result,
    check_equal,
    check_no_torn_commit,
    method_job,
    new_run,
    rounds,
    run_to_the_end,
)

pytestmark = pytest.mark.tiny


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["KILL", "TERM"])
def test_repeatedly_killed_run_reaches_the_same_weights(
    home: Home, nursery: Nursery, fault_job: dict[str, Any], undisturbed: Result, number: signal.Signals
) -> None:
    kill_repeatedly(home, nursery, fault_job, undisturbed, number, rounds(4, "KILLS"))


@pytest.mark.parametrize("method", [name for name in METHODS if name != "sft"])
def test_each_method_resumes_to_the_same_weights(
    home: Home, nursery: Nursery, tiny_model: Path, tmp_path: Path, method: str
) -> None:
    pairs = METHODS[method].rows != "texts"
    config = method_job(tiny_model, tmp_path, method)
    undisturbed = run_to_the_end(nursery, new_run(home, config))
    assert all(("rewards/margins" in (metrics or {})) is pairs for *_, metrics in undisturbed.measured)  # type: ignore[operator]
    kill_repeatedly(home, nursery, config, undisturbed, signal.SIGKILL, rounds(2, "METHOD_KILLS"))


@pytest.mark.parametrize("master_weights", [True, False])
def test_full_fine_tuning_resumes_to_the_same_weights(
    home: Home, nursery: Nursery, fault_job: dict[str, Any], master_weights: bool
) -> None:
    config = {**fault_job, "tuning": "full", "master_weights": master_weights}
    undisturbed = run_to_the_end(nursery, new_run(home, config))
    kill_repeatedly(home, nursery, config, undisturbed, signal.SIGKILL, rounds(2, "METHOD_KILLS"))


def kill_repeatedly(
    home: Home, nursery: Nursery, fault_job: dict[str, Any], undisturbed: Result, number: signal.Signals, kills: int
) -> None:  # fmt: skip
    """Kill attempts of runs at random moments, and compare each run that finishes all the same."""
    moments = Moments()
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
