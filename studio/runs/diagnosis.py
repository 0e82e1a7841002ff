"""Why a run failed, and with which settings it may be tried again. Found once, by the first who asks, and kept.

What is free of a machine's memory changes: a cure that was found again would not be the one that was shown.
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
    """Why a run failed: its own last word, or what `exit.json` says of a trainer that left without one."""
    attempts = folder.attempts()
    # An attempt that left without a word is not explained by the last word of the one before.
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
    """The change of settings with which a failed run may be tried again; empty where none is known."""
    events = read_tail(folder.events)
    problem = problem_of_run(folder, events) if run_state(folder, events) is RunState.FAILED else None
    return dict(problem.change or {}) if problem else {}


def _diagnosed(folder: RunFolder, attempt: Attempt, problem: Problem) -> Problem:
    """A shortage of memory with the gentlest smaller setting, where the run's settings can be read."""
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
    with contextlib.suppress(OSError):  # on a full disk it is found again
        write_json(folder.diagnosis, record)
    return found


def _cure(home: Home, config: FineTuneConfig) -> Changes:
    """The gentlest settings that fit by the estimate; the next smaller ones where that saw no need, or knows nothing."""
    # Here, so that asking for a state loads no estimator.
    from studio.sizing.assess import assess
    from studio.sizing.devices import chosen_device, detect_devices

    try:
        found = assess(home, config, chosen_device(config.device, detect_devices()))
    except FineTuneError:
        return smaller(config)
    if fit := found.fit():
        return fit.changes
    return {} if found.estimate.verdict == "too_big" else smaller(config)  # no setting is enough
