"""The runs of a sweep: started together, listed as one, stopped and deleted at once.

A family has no record: each run knows its sweep (`RunMeta.sweep`). Only until all its runs are queued, a file in
`sweeps/` says which are wanted, so that a studio that was killed meanwhile starts the rest.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping

from filelock import FileLock
from pydantic import BaseModel

from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code, Problem
from interfaces.records import read_as
from interfaces.run_config import Settings
from interfaces.run_records import RunMeta, SweepPoint
from studio.config_file import apply_settings
from studio.datasets.library import dataset_name, with_datasets
from studio.finetune_manager import SPACE_BYTES, FinetuneManager
from studio.runs.names import next_name
from studio.runs.state import RUN_ID, RunState, run_folders, run_state
from studio.runs.trash import delete_run
from studio.sweeps.plan import Values, configs_of

log = logging.getLogger(__name__)

_SHOWN_NAME = 120


class WantedSweep(BaseModel):
    """`sweeps/<id>.json`: a sweep whose runs aren't all queued yet. `points` has the values of each run in order."""

    name: str
    config: Settings
    points: list[Values]


def start_sweep(manager: FinetuneManager, config: Settings, asked: Mapping[str, str]) -> str:
    """Create and queue a run for each combination of values. Return the sweep's id.

    If one can't be created or queued, none of the others waits either.

    Raises:
        FineTuneError: the sweep or its config is invalid, or its runs can't be started.
    """
    home = manager.home
    points = [values for values, _ in configs_of(config, asked)]
    require_space(home.path, SPACE_BYTES)
    ready = with_datasets(home, config)
    title = dataset_name(home, str(ready["dataset"]))
    name = str(config.get("name") or next_name(home, title))[:_SHOWN_NAME]
    sweep = home.new_id()
    home.sweeps.mkdir(exist_ok=True)
    wanted = WantedSweep(name=name, config=ready, points=points)
    write_json(home.sweeps / f"{sweep}.json", wanted.model_dump())
    try:
        _complete(manager, sweep)
    except Exception:
        _give_up(manager, sweep)
        raise
    return sweep


def complete_sweeps(manager: FinetuneManager) -> None:
    """Start what is missing of sweeps whose start was interrupted."""
    for path in sorted(manager.home.sweeps.glob("*.json")):
        try:
            _complete(manager, path.stem)
        except Exception:  # the other sweeps don't wait for this one
            log.exception("Could not complete sweep %s", path.stem)


def _complete(manager: FinetuneManager, sweep: str) -> None:
    home = manager.home
    with FileLock(home.sweeps / ".lock"):
        wanted = read_as(home.sweeps / f"{sweep}.json", WantedSweep)
        if wanted is None:
            return  # another process has completed it
        there = {point.number: run for run, point in members(home, sweep)}
        for number, values in enumerate(wanted.points, start=1):
            if number in there:
                continue
            point = SweepPoint(id=sweep, name=wanted.name, number=number, runs=len(wanted.points), values=values)
            settings = [f"{name}={value}" for name, value in values.items()]
            config = apply_settings(wanted.config, settings)
            task = manager.create_task({**config, "name": f"{wanted.name}: {', '.join(settings)}"[:200]}, sweep=point)
            there[number] = home.run(task)
        for _, run in sorted(there.items()):
            if not run.attempts() and not run.is_waiting:
                manager.launch(run.id)
        (home.sweeps / f"{sweep}.json").unlink(missing_ok=True)


def _forget(home: Home, sweep: str) -> None:
    """Start no more runs of a sweep."""
    home.sweeps.mkdir(exist_ok=True)
    with FileLock(home.sweeps / ".lock"):
        (home.sweeps / f"{sweep}.json").unlink(missing_ok=True)


def _give_up(manager: FinetuneManager, sweep: str) -> None:
    (manager.home.sweeps / f"{sweep}.json").unlink(missing_ok=True)
    for run, _ in members(manager.home, sweep):
        with contextlib.suppress(FineTuneError):  # one that runs already stays
            if not run.attempts():
                delete_run(run)


def members(home: Home, sweep: str) -> list[tuple[RunFolder, SweepPoint]]:
    """Return the runs of a sweep in order. They are newer than its id."""
    found = []
    for run in run_folders(home):
        if run.id < sweep[:15]:  # both begin with the time in seconds
            break
        with contextlib.suppress(FineTuneError):  # another version wrote it
            point = RunMeta.of(run).sweep
            if point is not None and point.id == sweep:
                found.append((run, point))
    return sorted(found, key=lambda pair: pair[1].number)


def family(home: Home, sweep: str) -> list[tuple[RunFolder, SweepPoint]]:
    """Return the runs of a sweep, of which there must be some.

    Raises:
        FineTuneError: there is no such sweep, or all its runs were deleted.
    """
    found = members(home, sweep) if RUN_ID.fullmatch(sweep) else []
    if not found:
        raise FineTuneError.of(Code.SWEEP_NOT_FOUND, value=sweep[:80])
    return found


def stop_sweep(manager: FinetuneManager, sweep: str) -> int:
    """Remove its waiting runs from the queue, and ask its active ones to save and stop. Return how many those were."""
    home = manager.home
    runs = [run for run, _ in family(home, sweep)]
    _forget(home, sweep)
    stopped = 0
    # The waiting runs come first: otherwise the next one would start once the active one has ended.
    for run in [*(run for run in reversed(runs) if run.is_waiting), *runs]:
        if run_state(run).is_over or run_state(run) is RunState.STOPPING:
            continue
        with contextlib.suppress(FineTuneError):  # it has just ended
            manager.request_stop(run.id)
            stopped += 1
    return stopped


def resume_sweep(manager: FinetuneManager, sweep: str) -> int:
    """Queue its runs that ended before they had finished. Return how many those are.

    Raises:
        FineTuneError: one of them can't be queued.
    """
    left = [run for run, _ in family(manager.home, sweep) if run_state(run).is_over]
    left = [run for run in left if run_state(run) is not RunState.FINISHED]
    problems: list[Problem] = []
    for run in left:
        try:
            manager.resume(run.id)
        except FineTuneError as error:  # the others don't wait for this one
            problems += error.problems
    if problems:
        raise FineTuneError(*problems)
    return len(left)


def delete_sweep(manager: FinetuneManager, sweep: str) -> list[str]:
    """Move all runs of a sweep to the trash. Return their ids.

    Raises:
        FineTuneError: one of them isn't over; then none is deleted.
    """
    runs = [run for run, _ in family(manager.home, sweep)]
    for run in runs:
        state = run_state(run)
        if not state.is_over:
            raise FineTuneError.of(Code.RUN_ACTIVE, run=run.id, state=state.value)
    _forget(manager.home, sweep)
    for run in runs:
        delete_run(run)
    return [run.id for run in runs]
