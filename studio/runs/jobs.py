"""Jobs of runs, such as evaluations: queueing, stopping and deleting them, and how far they are."""

from __future__ import annotations

import shutil

from pydantic import BaseModel

from interfaces.errors import FineTuneError
from interfaces.events import Phase, Warned, read_tail
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import JobFolder, jobs_of
from interfaces.problems import Code, Problem
from interfaces.run_control import StopRequest
from interfaces.run_records import result_folder
from studio.processes.launcher import launcher_of
from studio.runs.diagnosis import problem_of_run
from studio.runs.queue import RunQueue
from studio.runs.state import RunState, require_known, run_folders, run_state
from studio.runs.supervised_trainer import wait_until_gone


class JobState(BaseModel):
    """How far a job is. `progress` is (done, total) of the current phase."""

    run: str
    number: int
    state: RunState
    over: bool
    phase: str
    progress: tuple[int, int] | None
    problem: Problem | None
    warnings: list[Problem]


def job_state(folder: JobFolder) -> JobState:
    """
    Raises:
        FineTuneError: another version wrote its records.
    """
    events = read_tail(folder.events)
    state = run_state(folder, events)
    phase = next((event for event in reversed(events) if isinstance(event, Phase)), None)
    going = phase if phase and not state.is_over else None
    return JobState(
        run=folder.run.id, number=folder.number, state=state, over=state.is_over, phase=going.phase if going else "",
        progress=(going.done or 0, going.total) if going and going.total else None,
        problem=problem_of_run(folder, events) if state is RunState.FAILED else None,
        warnings=[event.problem for event in events if isinstance(event, Warned)],
    )  # fmt: skip


def submit_job(folder: JobFolder, step: int | None) -> None:
    """Queue a job that is new, or that was stopped, failed, or was interrupted. `step` is that of its adapter.

    Raises:
        FineTuneError: the run has no such adapter, the job is finished or active, or it can't be started.
    """
    state = run_state(folder)
    if state is RunState.FINISHED:
        raise FineTuneError.of(Code.RUN_FINISHED, run=folder.id)
    if not state.is_over:
        raise FineTuneError.of(Code.RUN_ACTIVE, run=folder.id, state=state.value)
    require_known(folder.run)
    result_folder(folder.run, step)
    wait_until_gone(folder)
    RunQueue(folder.home).submit(folder)


def stop_job(folder: JobFolder) -> None:
    """Stop a job; what has been done stays.

    Raises:
        FineTuneError: it is neither running nor queued.
    """
    if folder.is_waiting:
        RunQueue(folder.home).cancel(folder)
        return
    attempts, state = folder.attempts(), run_state(folder)
    if state.is_over or not attempts:
        raise FineTuneError.of(Code.RUN_NOT_ACTIVE, run=folder.id, state=state.value)
    StopRequest("save", attempts[-1].number).write(folder.stop)


def delete_job(folder: JobFolder) -> None:
    """Delete a job's folder for good.

    Raises:
        FineTuneError: it is still running.
    """
    wait_until_gone(folder)
    with RunQueue(folder.home).alone():  # no process can start it meanwhile
        if launcher_of(folder.home).find(folder) is not None:
            raise FineTuneError.of(Code.RUN_ACTIVE, run=folder.id, state=run_state(folder).value)
        folder.ticket.unlink(missing_ok=True)
        gone = folder.path.rename(folder.path.with_name(f".gone-{folder.path.name}"))
    shutil.rmtree(gone, ignore_errors=True)


def runs_in_use(home: Home) -> list[RunFolder]:
    """Return the runs that wait or are active, or of which a job does."""
    return [run for run in run_folders(home) if any(not run_state(one).is_over for one in (run, *jobs_of(run)))]
