"""The state of runs, derived from the disk on each request, and their summaries."""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum

from pydantic import BaseModel, Field, ValidationError, computed_field

from interfaces.errors import FineTuneError
from interfaces.evaluations import GateOutcome
from interfaces.events import (
    CheckpointCommitted,
    Evaluated,
    Event,
    Failed,
    Finished,
    Phase,
    Step,
    Stopped,
    Stopping,
    read_tail,
)
from interfaces.files import SCHEMA_VERSION, read_json, write_json
from interfaces.folders import Attempt, Home, RunFolder
from interfaces.history import RunHistory
from interfaces.job_folders import job_named
from interfaces.problems import Code, Problem
from interfaces.records import read_record
from interfaces.run_control import StopMode, StopRequest
from interfaces.run_records import Lineage, RunMeta, SweepPoint
from studio.processes.launcher import Launcher, launcher_of

STARTING_SECONDS = 10.0
"""An attempt without `pid.json` counts as starting for this long; after that, its starter must have died."""
SPARKLINE_POINTS = 40
RUN_ID = re.compile(r"[0-9a-f-]{1,40}")
FOLLOW_SECONDS = 0.2


class RunState(StrEnum):
    """Derived, never stored."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_over(self) -> bool:
        return self in (RunState.STOPPED, RunState.FINISHED, RunState.FAILED, RunState.INTERRUPTED)


def run_state(folder: RunFolder, events: list[Event] | None = None, launcher: Launcher | None = None) -> RunState:
    """Derive the state from the last event, `exit.json`, and whether the processes exist.

    `events` may be all events of the run or only the last ones. If it is omitted, the last ones are read.
    """
    # The order matters: a starting run has its attempt before it leaves the queue.
    is_waiting = folder.is_waiting
    attempts = folder.attempts()
    if is_waiting:
        return RunState.QUEUED
    if not attempts:
        return RunState.STOPPED  # it was removed from the queue, or never queued
    attempt = attempts[-1]
    events = read_tail(folder.events) if events is None else events
    reported = [event for event in events if event.attempt == attempt.number]
    last = reported[-1] if reported else None
    if isinstance(last, Finished):
        return RunState.FINISHED
    if isinstance(last, Stopped):
        return RunState.STOPPED
    if isinstance(last, Failed):
        return RunState.FAILED
    if attempt.exit.exists():
        # No final event: a discard killed it as requested, or something else did.
        return RunState.STOPPED if stop_requested(folder, attempt) else RunState.FAILED
    if (launcher or launcher_of(folder.home)).state(attempt) == "gone":
        return RunState.STARTING if is_being_started(attempt) else RunState.INTERRUPTED
    if stop_requested(folder, attempt) or any(isinstance(event, Stopping) for event in reported[-20:]):
        return RunState.STOPPING
    learning = any(
        isinstance(event, Step | Evaluated | CheckpointCommitted)
        or (isinstance(event, Phase) and event.phase in ("answer", "export", "prove"))  # a job
        for event in reported
    )
    return RunState.RUNNING if learning else RunState.STARTING


def stop_requested(folder: RunFolder, attempt: Attempt) -> StopMode | None:
    """Return how this attempt was asked to stop, or None."""
    request = StopRequest.of(folder.stop)
    return request.mode if request and request.attempt == attempt.number else None


def is_being_started(attempt: Attempt) -> bool:
    """Return whether the attempt's processes may still be starting."""
    # If the clock was set back, the folder's time is in the future.
    return not attempt.pid.exists() and abs(time.time() - attempt.path.stat().st_mtime) < STARTING_SECONDS


class RunSummary(BaseModel):
    """One line of the list of runs. Losses in nats per trained token, `started` in seconds since 1970."""

    id: str
    name: str
    state: RunState
    model: str
    dataset: str
    step: int
    total_steps: int
    train_loss_first: float | None
    train_loss_last: float | None
    eval_loss: float | None
    started: float | None
    seconds: float
    attempts: int
    resumable: bool
    timing: bool = False
    tags: list[str] = Field(default_factory=list)
    note: str = ""
    sweep: SweepPoint | None = None
    gate: str = ""
    """'passed' or 'failed', if the run's recipe has a gate that has been decided."""
    sparkline: list[float]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def over(self) -> bool:
        """So that no page has to know which states that is."""
        return self.state.is_over


def summarize(folder: RunFolder, history: RunHistory | None = None) -> RunSummary:
    """Summarize a run from its events. For a list, use `summary_of`."""
    history = history or RunHistory(folder)
    lineage, meta = Lineage.of(folder), RunMeta.of(folder)
    with history.lock:
        history.refresh()
        losses, last, started = history.train.losses, history.latest, history.started
        thinned = losses[:: max(-(-len(losses) // SPARKLINE_POINTS), 1)]
        return RunSummary(
            id=folder.id,
            name=meta.name,
            state=run_state(folder),
            model=lineage.base.requested if lineage else meta.model or (started.model_name if started else ""),
            dataset=meta.dataset or (lineage.dataset.name if lineage else ""),
            step=last.step if last else 0,
            total_steps=last.total_steps if last else 0,
            train_loss_first=_finite(losses[:1]),
            train_loss_last=_finite(losses[-1:]),
            eval_loss=_finite(history.validation.losses[-1:]),
            started=history.first_time,
            seconds=round(history.seconds, 1),
            attempts=len(folder.attempts()),
            resumable=any(folder.checkpoints.glob("step-*")),
            timing=meta.timing,
            tags=meta.tags,
            note=meta.note,
            sweep=meta.sweep,
            gate=_gate(folder),
            sparkline=[round(loss, 4) for loss in thinned if math.isfinite(loss)],
        )


def _gate(folder: RunFolder) -> str:
    outcome = GateOutcome.of(folder)
    return "" if outcome is None else "passed" if outcome.passed else "failed"


def _finite(losses: Sequence[float]) -> float | None:
    """Return the loss, or None if it is missing or not finite, which JSON can't represent."""
    return losses[0] if losses and math.isfinite(losses[0]) else None


def summary_of(folder: RunFolder, histories: dict[str, RunHistory] | None = None) -> RunSummary:
    """Summarize a run like `summarize`, but from `summary.json` if that is up to date.

    `histories` caches the histories of active runs, so that the next call reads only new events.
    """
    stored = _stored(folder)
    if stored is not None:
        return stored
    described = _described(folder)  # first: what a person says meanwhile makes the stored summary out of date
    history = None if histories is None else histories.setdefault(folder.id, RunHistory(folder))
    summary = summarize(folder, history)
    # A run is over only when its processes are gone too.
    if summary.state.is_over and launcher_of(folder.home).find(folder) is None:
        with contextlib.suppress(OSError):  # a full or read-only disk doesn't prevent the list
            write_json(folder.summary, {**summary.model_dump(mode="json"), "meta_changed": described})
    return summary


def _stored(folder: RunFolder) -> RunSummary | None:
    record = read_json(folder.summary)
    if record is None or folder.is_waiting or record.get("attempts") != len(folder.attempts()):
        return None
    if record.pop("schema_version", None) != SCHEMA_VERSION:
        return None  # the summary can be derived again
    if record.pop("meta_changed", None) != _described(folder):
        return None
    try:
        return RunSummary.model_validate(record)
    except ValidationError:
        return None  # the file is damaged


def _described(folder: RunFolder) -> list[int]:
    """Return what differs once somebody has described the run, or its gate has been decided."""
    found = []
    for path in (folder.meta, GateOutcome.path_of(folder)):
        try:
            status = path.stat()
            found += [status.st_mtime_ns, status.st_ino]
        except OSError:
            found += [0, 0]
    return found


def list_runs(home: Home, histories: dict[str, RunHistory] | None = None) -> list[RunSummary]:
    """List all runs of a home, newest first."""
    return summaries_of(run_folders(home), histories)


def summaries_of(folders: Sequence[RunFolder], histories: dict[str, RunHistory] | None = None) -> list[RunSummary]:
    """Summarize runs in order. A run from another version is listed as failed; opening it raises."""
    summaries = []
    for folder in folders:
        try:
            summaries.append(summary_of(folder, histories))
        except FineTuneError as error:
            summaries.append(_of_another_version(folder, error.problems[0]))
    return summaries


def require_known(folder: RunFolder) -> None:
    """
    Raises:
        FineTuneError: another version wrote the run's records.
    """
    for path in (folder.lineage, folder.meta):
        read_record(path)


def _of_another_version(folder: RunFolder, problem: Problem) -> RunSummary:
    name = f"unsupported schema version {problem.params.get('value')}"
    return RunSummary(
        id=folder.id, name=name, state=RunState.FAILED, model="", dataset="", step=0, total_steps=0, train_loss_first=None,
        train_loss_last=None, eval_loss=None, started=None, seconds=0.0, attempts=len(folder.attempts()), resumable=False,
        sparkline=[],
    )  # fmt: skip


def run_folders(home: Home) -> list[RunFolder]:
    """Return the folders of all runs, newest first."""
    folders = (RunFolder(path) for path in home.runs.glob("*") if path.is_dir())
    newest = sorted(folders, key=lambda folder: folder.id, reverse=True)
    return [folder for folder in newest if folder.config.exists()]


def any_run_is_active(home: Home) -> bool:
    """Return whether any run of this home has live processes."""
    going = (RunState.STARTING, RunState.RUNNING, RunState.STOPPING)
    return any(_stored(folder) is None and run_state(folder) in going for folder in run_folders(home))


def interrupted_runs(home: Home) -> list[RunSummary]:
    """List the runs that a power loss or a kill ended without a final event, oldest first."""
    return [summary for summary in reversed(list_runs(home)) if summary.state is RunState.INTERRUPTED]


def named_run(home: Home, run_id: str) -> RunFolder:
    """Return the run with exactly this id, as an address or a request names it.

    Raises:
        FineTuneError: there is none.
    """
    if not is_run(home, run_id):
        raise FineTuneError.of(Code.RUN_NOT_FOUND, run=run_id, path=home.runs.name)
    return home.run(run_id)


def named_job(home: Home, job_id: str) -> RunFolder:
    """Return the run, or the evaluation of one, with exactly this id.

    Raises:
        FineTuneError: there is none.
    """
    job = job_named(home, job_id)
    named_run(home, job.run.id)
    if not job.config.is_file():
        raise FineTuneError.of(Code.RUN_NOT_FOUND, run=job_id, path=home.runs.name)
    return job


def is_run(home: Home, run_id: str) -> bool:
    return RUN_ID.fullmatch(run_id) is not None and home.run(run_id).config.is_file()


def find_run(home: Home, run_id: str) -> RunFolder:
    """Find a run by its id, or the start or end of it; 'last' is the newest run.

    Raises:
        FineTuneError: no run matches, or several do.
    """
    known = sorted(path.name for path in home.runs.glob("*") if (path / "config.yaml").exists())
    if run_id == "last" and known:
        return home.run(known[-1])
    fitting = [name for name in known if name == run_id] or [
        name for name in known if run_id and (name.startswith(run_id) or name.endswith(run_id))
    ]
    if len(fitting) > 1:
        raise FineTuneError.of(Code.RUN_AMBIGUOUS, run=run_id, known=fitting[:8])
    if not fitting:
        raise FineTuneError.of(Code.RUN_NOT_FOUND, run=run_id, path=str(home.runs))
    return home.run(fitting[0])


def find_job(home: Home, job_id: str) -> RunFolder:
    """Find a run like `find_run`, or an evaluation of one, as `<run>.<number>`.

    Raises:
        FineTuneError: there is none, or several match.
    """
    run, dot, number = job_id.partition(".")
    folder = find_run(home, run)
    return named_job(home, f"{folder.id}.{number}") if dot else folder


def follow(history: RunHistory) -> Iterator[list[Event]]:
    """Yield new events until the run is over; yield an empty list if there are none."""
    while True:
        # Get the state before reading, so that no event just before the end is missed.
        over = run_state(history.folder).is_over
        new = history.read_new()
        yield new
        if over and not new:
            return
        if not new:
            time.sleep(FOLLOW_SECONDS)
