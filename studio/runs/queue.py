"""The queue of runs that wait for their device. A queued run is a file in `queue/` and has no process.

Each device executes one run at a time. To start a run, a process takes the queue's lock, checks that the device is
free, and records the run in `locks/<device>.json`. No process has to wait for the next start: when a run ends, its
supervisor executes `studio.ending`, which starts the next run. Evaluations of runs wait in the same queue.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel

from interfaces.device import Device
from interfaces.errors import FineTuneError
from interfaces.events import Step, read_tail
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import EvaluationFolder, ExportFolder, job_named
from interfaces.problems import Code
from interfaces.run_config import read_run_config
from interfaces.run_control import DeviceLock, StopRequest, Ticket
from interfaces.run_records import RunMeta, SweepPoint
from studio.processes.launcher import Launcher, launcher_of
from studio.runs.state import is_being_started, run_state
from studio.sizing.devices import chosen_device, detect_devices

log = logging.getLogger(__name__)

LOCK_SECONDS = 60.0
"""Longer than a start, during which the queue's lock is held."""
MOST_FAILURES = 3
"""After this many failed starts, for example without memory, a run loses its place."""
TEND_SECONDS = 2.0
"""How often a waiting process checks the queue, in case a supervisor was killed."""

_DEVICE = re.compile(r"cpu|mps|cuda:\d{1,3}")


class Waiting(BaseModel):
    """A queued run, or a job of one, with its id in the queue. `position` counts from 1 across all devices."""

    run: str
    kind: Literal["run", "evaluation", "export"]
    name: str
    device: str
    position: int
    sweep: SweepPoint | None = None


class QueueRecord(BaseModel):
    """The queue for the page and `finetune queue --json`. `running` maps devices to runs or evaluations by their ids."""

    paused: bool
    running: dict[str, str]
    waiting: list[Waiting]


class RunQueue:
    """The queue of one home. Stateless: every answer comes from the disk."""

    def __init__(self, home: Home, launcher: Launcher | None = None) -> None:
        self.home = home
        self._launcher = launcher or launcher_of(home)
        self._tended = 0.0

    # ---- what is there -------------------------------------------------------------------------------------------

    def waiting(self) -> list[Waiting]:
        """Return the queued runs in order."""
        waiting = [path for path in self.home.queue.glob("*-*.json") if self._job(path).is_waiting]
        tickets = sorted(
            ((ticket, self._job(path)) for path in waiting if (ticket := Ticket.of(path)) is not None),
            key=lambda one: (one[0].order, one[1].id),
        )
        return [
            Waiting(
                run=job.id, kind=_kind_of(job), name=meta.name, device=self._device_of(job, ticket), position=position,
                sweep=meta.sweep if job is job.run else None,
            )
            for position, (ticket, job) in enumerate(tickets, start=1)
            for meta in [RunMeta.of(job.run)]
        ]  # fmt: skip

    def _job(self, ticket: Path) -> RunFolder:
        return job_named(self.home, ticket.stem)

    @staticmethod
    def _device_of(job: RunFolder, ticket: Ticket) -> str:
        """Return the device in the ticket, or, if the ticket is damaged, the one in the run's settings."""
        return ticket.device if _DEVICE.fullmatch(ticket.device) else device_of_run(job)

    def place_of(self, folder: RunFolder) -> Waiting | None:
        """Return a run's place in the queue, or None if it isn't queued."""
        return next((one for one in self.waiting() if one.run == folder.id), None)

    def running(self) -> dict[str, str]:
        """Return the run that uses each device."""
        names = [path.stem.replace("-", ":") for path in self.home.locks.glob("*.json")]
        return {device: holder.id for device in names if (holder := self.holder_of(device)) is not None}

    @property
    def paused(self) -> bool:
        return self.home.queue_paused.exists()

    def to_record(self) -> QueueRecord:
        return QueueRecord(paused=self.paused, running=self.running(), waiting=self.waiting())

    def holder_of(self, device: str) -> RunFolder | None:
        """Return the run that uses a device or is being started on it."""
        lock = DeviceLock.of(self._lock_of(device))
        if lock is None:
            return None
        folder = job_named(self.home, lock.run)
        attempt = folder.attempt(lock.attempt)
        there = attempt.path.is_dir() and (self._launcher.state(attempt) == "alive" or is_being_started(attempt))
        return folder if there else None

    def memory_held(self, device: Device) -> int:
        """Return the memory of a device that its current run holds, from the run's latest step."""
        holder = self.holder_of(device_name(device))
        steps = [event for event in read_tail(holder.events) if isinstance(event, Step)] if holder else []
        return steps[-1].memory_bytes if steps else 0

    def require_free(self, device: str) -> None:
        """
        Raises:
            FineTuneError: a run uses this device, or the queue is paused.
        """
        if self.paused:
            raise FineTuneError.of(Code.QUEUE_PAUSED)
        self.advance()  # a queued run may be due, which takes precedence
        if holder := self.holder_of(device):
            raise FineTuneError.of(Code.DEVICE_BUSY, device=device, run=holder.id)

    def is_stuck(self) -> bool:
        """Return whether a run waits for a device that is free."""
        return not self.paused and any(self.holder_of(one.device) is None for one in self.waiting())

    # ---- what is done with it ------------------------------------------------------------------------------------

    def submit(self, folder: RunFolder) -> bool:
        """Append a run to the queue and start it if its device is free. Return whether it is running.

        Raises:
            FineTuneError: the run could not be started.
        """
        before = len(folder.attempts())
        with self.alone():
            # Another process may have started it meanwhile, and it may even have ended.
            started = len(folder.attempts()) > before or self._launcher.find(folder) is not None
            if not started and not folder.is_waiting:
                tickets = [ticket for path in self.home.queue.glob("*-*.json") if (ticket := Ticket.of(path))]
                order = max((ticket.order for ticket in tickets), default=0.0) + 1
                Ticket(device_of_run(folder), order, attempts=len(folder.attempts())).write(folder.ticket)
            self._advance(asked=folder)
        return self._launcher.find(folder) is not None

    def advance(self) -> list[str]:
        """Start the next queued run on each free device. Return their ids."""
        if not any(self.home.queue.glob("*-*.json")):
            return []
        with self.alone():
            return self._advance()

    def tend(self) -> None:
        """Call `advance` from time to time, for processes that are waiting anyway."""
        if time.monotonic() - self._tended > TEND_SECONDS:
            self._tended = time.monotonic()
            self.advance()

    def tend_always(self) -> None:
        """Keep the queue moving from a thread of a long-running process, in case a supervisor is killed."""
        while True:
            try:
                self.advance()
            except Exception:
                log.exception("Could not advance the queue")
            time.sleep(TEND_SECONDS)

    def cancel(self, folder: RunFolder) -> None:
        """Remove a run from the queue. It can be queued again.

        Raises:
            FineTuneError: the run isn't queued.
        """
        with self.alone():
            self._require(folder)
            folder.ticket.unlink()
            if isinstance(folder, EvaluationFolder) and not folder.attempts():
                StopRequest("save", attempt=0).write(folder.stop)  # otherwise that of a recipe would be queued again

    def move(self, folder: RunFolder, position: int) -> None:
        """Move a run to another position, counted from 1.

        Raises:
            FineTuneError: the run isn't queued.
        """
        with self.alone():
            self._require(folder)
            names = [one.run for one in self.waiting() if one.run != folder.id]
            names.insert(max(position, 1) - 1, folder.id)
            for order, name in enumerate(names, start=1):
                path = job_named(self.home, name).ticket
                ticket = Ticket.of(path)
                if ticket is not None and ticket.order != order:
                    replace(ticket, order=order).write(path)

    def pause(self) -> None:
        """Start no more runs until `resume`. Active runs continue."""
        self.home.queue.mkdir(parents=True, exist_ok=True)
        self.home.queue_paused.touch()

    def resume(self) -> list[str]:
        """Resume the queue. Return the ids of the runs that this starts."""
        self.home.queue_paused.unlink(missing_ok=True)
        return self.advance()

    # ---- under the lock ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock that prevents other processes from starting, moving, or deleting runs of this home.

        Raises:
            FineTuneError: another process has held the lock for too long.
        """
        self.home.queue.mkdir(parents=True, exist_ok=True)
        self.home.locks.mkdir(parents=True, exist_ok=True)
        try:
            lock = FileLock(self.home.queue_lock).acquire(LOCK_SECONDS)
        except Timeout as error:
            raise FineTuneError.of(
                Code.QUEUE_HELD, path=str(self.home.queue_lock), seconds=int(LOCK_SECONDS)
            ) from error
        with lock:
            yield

    def _require(self, folder: RunFolder) -> None:
        if not folder.is_waiting:
            raise FineTuneError.of(Code.RUN_NOT_WAITING, run=folder.id, state=run_state(folder).value)

    def _advance(self, asked: RunFolder | None = None) -> list[str]:
        """Start what can be started. A run that fails to start blocks no others; only `asked` raises its error."""
        for path in self.home.queue.glob("*-*.json"):
            folder = self._job(path)
            # The run was deleted, or its starter was killed before removing the ticket. An unreadable ticket stays.
            if not folder.is_waiting and (Ticket.of(path) is not None or not folder.path.exists()):
                path.unlink(missing_ok=True)
        started: list[str] = []
        taken: set[str] = set()
        for one in [] if self.paused else self.waiting():
            folder = job_named(self.home, one.run)
            if one.device in taken or self.holder_of(one.device) is not None:
                taken.add(one.device)
                continue
            try:
                self._start(folder, one.device)
            except Exception as error:
                self._lock_of(one.device).unlink(missing_ok=True)
                if asked is not None and folder.id == asked.id:
                    folder.ticket.unlink(missing_ok=True)
                    raise
                log.exception("Could not start run %s: %s", folder.id, error)
                if self._keeps_its_place(folder):
                    taken.add(one.device)
                continue
            started.append(folder.id)
            taken.add(one.device)
        return started

    def _keeps_its_place(self, folder: RunFolder) -> bool:
        """Return whether to retry a run that failed to start, because the machine's problem may be temporary."""
        ticket = Ticket.of(folder.ticket)
        if ticket is None or ticket.failures + 1 >= MOST_FAILURES:
            folder.ticket.unlink(missing_ok=True)
            return False
        # A start that failed halfway has left an attempt.
        replace(ticket, failures=ticket.failures + 1, attempts=len(folder.attempts())).write(folder.ticket)
        return True

    def _start(self, folder: RunFolder, device: str) -> None:
        attempts = folder.attempts()
        DeviceLock(folder.id, attempts[-1].number + 1 if attempts else 1).write(self._lock_of(device))
        self._launcher.start(folder)
        folder.ticket.unlink(missing_ok=True)

    def _lock_of(self, device: str) -> Path:
        return self.home.locks / f"{device.replace(':', '-')}.json"


def _kind_of(job: RunFolder) -> Literal["run", "evaluation", "export"]:
    return "export" if isinstance(job, ExportFolder) else "evaluation" if isinstance(job, EvaluationFolder) else "run"


def device_of_run(folder: RunFolder) -> str:
    """Return the device that a run or a job of it asks for: cpu, mps, or a numbered card."""
    if isinstance(folder, ExportFolder):
        return "cpu"  # a card may be busy for days
    try:
        wanted = read_run_config(folder.run).get("device", "auto")
    except FineTuneError:
        wanted = "auto"  # the run itself reports what is wrong with its settings
    return wanted_device(str(wanted))


def wanted_device(setting: str) -> str:
    """Return the name of the device that the setting `device` selects on this machine."""
    return device_name(chosen_device(setting, detect_devices()))


def device_name(device: Device) -> str:
    return f"cuda:{device.index}" if device.kind == "cuda" else device.kind
