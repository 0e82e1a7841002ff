"""Why a run failed, and with which settings it can be retried. The first request determines this and stores it.

Free memory changes over time, so a later diagnosis could suggest another fix than the one that was shown.
"""

from __future__ import annotations

import contextlib

from pydantic import ValidationError

from interfaces.advice import smaller
from interfaces.config import FineTuneConfig
from interfaces.disk import disk_full
from interfaces.errors import FineTuneError
from interfaces.events import Event, Failed, Finished, Stopped, read_tail
from interfaces.files import read_json, write_json
from interfaces.folders import Attempt, Home, RunFolder
from interfaces.problems import SCHEMA_VERSION, Changes, Code, Problem
from interfaces.run_config import read_run_config
from studio.runs.state import RunState, run_state


def problem_of_run(folder: RunFolder, events: list[Event]) -> Problem | None:
    """Return why a run failed, from its final event, or from `exit.json` if the trainer left none."""
    attempts = folder.attempts()
    # The final event of an earlier attempt doesn't explain an attempt that left none.
    told = [event for event in events if attempts and event.attempt == attempts[-1].number]
    last = told[-1] if told else None
    if isinstance(last, Failed):
        return (
            _diagnosed(folder, attempts[-1], last.problem) if last.problem.code == Code.OUT_OF_MEMORY else last.problem
        )
    ended = read_json(attempts[-1].exit) if attempts else None
    if ended is None or isinstance(last, Finished | Stopped):
        return None
    if ended.get("cause") == "out_of_memory":
        return _diagnosed(folder, attempts[-1], Problem.error(Code.KILLED_FOR_MEMORY, run=folder.id))
    if ended.get("cause") == "disk_full":
        return disk_full(folder.path)
    if ended.get("signal"):
        return Problem.error(Code.TRAINER_KILLED, signal=ended["signal"], run=folder.id)
    return Problem.error(Code.TRAINER_ENDED, code=ended.get("returncode"), path=str(folder.log))


def cure_of(folder: RunFolder) -> Changes:
    """Return the change of settings that lets a failed run be retried, or an empty dict."""
    events = read_tail(folder.events)
    problem = problem_of_run(folder, events) if run_state(folder, events) is RunState.FAILED else None
    return dict(problem.change or {}) if problem else {}


def _diagnosed(folder: RunFolder, attempt: Attempt, problem: Problem) -> Problem:
    """Add the mildest fix to an out-of-memory problem, if the run's settings can be read."""
    stored = read_json(folder.diagnosis) or {}
    if stored.get("attempt") == attempt.number and stored.get("schema_version") == SCHEMA_VERSION:
        with contextlib.suppress(ValidationError):  # somebody has damaged it
            return Problem.model_validate(stored.get("problem"))
    try:
        config = FineTuneConfig.model_validate(read_run_config(folder))
    except (FineTuneError, ValidationError):
        return problem
    seen = {"batch": config.per_device_train_batch_size, "max_length": config.max_length}
    found = problem.model_copy(update={"params": {**problem.params, **seen}, "change": _cure(folder.home, config)})
    record = {"schema_version": SCHEMA_VERSION, "attempt": attempt.number, "problem": found.model_dump(mode="json")}
    with contextlib.suppress(OSError):  # on a full disk, the next request diagnoses it again
        write_json(folder.diagnosis, record)
    return found


def _cure(home: Home, config: FineTuneConfig) -> Changes:
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
    return {} if found.estimate.verdict == "too_big" else smaller(config)  # no change is enough
