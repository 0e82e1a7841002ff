"""Why a run failed, and with which settings it can be retried.

The process that handles a run's end (`studio.ending`) determines this and stores it; if it was killed, the first
request does. Free memory changes over time, so a second diagnosis could suggest another fix than the one that was shown.
"""

from __future__ import annotations

import contextlib

from filelock import FileLock
from pydantic import BaseModel, ValidationError

from interfaces.advice import smaller
from interfaces.config import FineTuneConfig
from interfaces.disk import disk_full
from interfaces.errors import FineTuneError
from interfaces.events import Event, Failed, Finished, Stopped, read_tail
from interfaces.files import read_json, write_json
from interfaces.folders import Attempt, Home, RunFolder
from interfaces.problems import Changes, Code, Problem
from interfaces.run_config import read_run_config
from interfaces.run_control import ExitRecord
from studio.runs.state import RunState, run_state


class Diagnosis(BaseModel):
    """`diagnosis.json`: why an attempt ran out of memory, with the change of settings that lets it be retried."""

    attempt: int
    problem: Problem


def problem_of_run(folder: RunFolder, events: list[Event]) -> Problem | None:
    """Return why a run failed, from its final event, or from `exit.json` if the trainer left none."""
    attempts = folder.attempts()
    # The final event of an earlier attempt doesn't explain an attempt that left none.
    reported = [event for event in events if attempts and event.attempt == attempts[-1].number]
    last = reported[-1] if reported else None
    if isinstance(last, Failed):
        return (
            _diagnosed(folder, attempts[-1], last.problem) if last.problem.code == Code.OUT_OF_MEMORY else last.problem
        )
    ended = ExitRecord.of(attempts[-1].exit) if attempts else None
    if ended is None or isinstance(last, Finished | Stopped):
        return None
    if ended.cause == "out_of_memory":
        return _diagnosed(folder, attempts[-1], Problem.error(Code.KILLED_FOR_MEMORY, run=folder.id))
    if ended.cause == "disk_full":
        return disk_full(folder.path)
    if ended.signal:
        return Problem.error(Code.TRAINER_KILLED, signal=ended.signal, run=folder.id)
    return Problem.error(Code.TRAINER_ENDED, code=ended.returncode, path=str(folder.log))


def fix_of(folder: RunFolder) -> Changes:
    """Return the change of settings that lets a failed run be retried, or an empty dict."""
    events = read_tail(folder.events)
    problem = problem_of_run(folder, events) if run_state(folder, events) is RunState.FAILED else None
    return dict(problem.change or {}) if problem else {}


def _diagnosed(folder: RunFolder, attempt: Attempt, problem: Problem) -> Problem:
    """Return the stored diagnosis, or make it. Of several processes that ask at once, one makes it."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # a read-only disk
            held.enter_context(FileLock(folder.diagnosis_lock))
        with contextlib.suppress(ValidationError):  # there is none yet, or somebody has damaged it
            stored = Diagnosis.model_validate(read_json(folder.diagnosis) or {})
            if stored.attempt == attempt.number:
                return stored.problem
        found = _with_fix(folder, problem)
        record = Diagnosis(attempt=attempt.number, problem=found)
        with contextlib.suppress(OSError):  # on a full disk, the next request diagnoses it again
            write_json(folder.diagnosis, record.model_dump(mode="json"))
        return found


def _with_fix(folder: RunFolder, problem: Problem) -> Problem:
    """Add the mildest fix to an out-of-memory problem, if the run's settings can be read."""
    try:
        config = FineTuneConfig.model_validate(read_run_config(folder))
    except (FineTuneError, ValidationError):
        return problem
    seen = {"batch": config.per_device_train_batch_size, "max_length": config.max_length}
    return problem.model_copy(update={"params": {**problem.params, **seen}, "change": _fix(folder.home, config)})


def _fix(home: Home, config: FineTuneConfig) -> Changes:
    """Return the mildest change that fits by the estimate, or the next smaller settings if it sees no need."""
    # Imported here, so that reading a run's state doesn't load the estimator.
    from studio.sizing.assess import assess
    from studio.sizing.devices import chosen_device, detect_devices

    try:
        found = assess(home, config, chosen_device(config.device, detect_devices()))
    except FineTuneError:
        return smaller(config)
    if fit := found.fit():
        return fit.changes
    return {} if found.estimate.fit_level == "too_big" else smaller(config)  # no change is enough
