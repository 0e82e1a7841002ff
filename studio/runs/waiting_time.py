"""When a new run would start: how many runs use its device or wait for it, and how long they still take."""

from __future__ import annotations

from statistics import fmean

from pydantic import BaseModel

from interfaces.events import Step, read_tail
from interfaces.folders import RunFolder
from interfaces.job_folders import job_named
from studio.runs.queue import RunQueue
from studio.sizing.calibration import estimate_of_run


class DeviceWait(BaseModel):
    """What a new run waits for on a device. `seconds` is None if one of the runs can't be timed yet."""

    runs: int
    seconds: float | None
    paused: bool


def wait_for(queue: RunQueue, device: str) -> DeviceWait | None:
    """Return how long a new run waits for a device such as `cuda:0`; None if it starts at once."""
    waiting = [job_named(queue.home, one.run) for one in queue.waiting() if one.device == device]
    running = queue.holder_of(device)
    if not waiting and running is None and not queue.paused:
        return None
    left = [_left(running)] if running else []
    times = [*left, *(_whole(folder) for folder in waiting)]
    known = [seconds for seconds in times if seconds is not None]
    return DeviceWait(
        runs=len(times), seconds=round(sum(known)) if len(known) == len(times) else None, paused=queue.paused
    )


def _left(folder: RunFolder) -> float | None:
    """The rest of an active run, by its latest steps. A logged one may stand for several. An evaluation has none."""
    events = [event for event in read_tail(folder.events) if isinstance(event, Step)]
    steps = [event for event in events if event.attempt == events[-1].attempt]
    if len(steps) < 2:
        return _whole(folder)
    each = sum(step.seconds for step in steps[1:]) / (steps[-1].step - steps[0].step)
    return each * max(steps[-1].total_steps - steps[-1].step, 0)


def _whole(folder: RunFolder) -> float | None:
    """The middle of a run's estimated time."""
    expected = estimate_of_run(folder)
    return fmean(expected.seconds) if expected and expected.seconds else None
