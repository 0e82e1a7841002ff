"""Runs that wait for their device. A waiting run is a file in `queue/` and holds no process.

One run a device: who starts one holds the queue's lock, sees that nobody has the device, and writes down who has it now
(`locks/<device>.json`), before the run is started. Nobody has to be there for the next: the supervisor of a run that ends
starts this module, which starts the first of those that wait.

    python -P -m studio.runs.queue HOME RUN      after the end of a run
"""

from __future__ import annotations

import contextlib
import logging
import math
import re
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel

from interfaces.device import Device
from interfaces.errors import FineTuneError
from interfaces.events import Step, read_tail
from interfaces.files import read_json, write_json
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from interfaces.run_config import read_run_config
from interfaces.run_records import RunMeta
from studio.processes.launcher import Launcher, launcher_of
from studio.runs.state import is_being_started, run_state
from studio.sizing.devices import chosen_device, detect_devices

log = logging.getLogger(__name__)

LOCK_SECONDS = 60.0
"""Longer than a start takes, which the queue's lock is held for."""
MOST_FAILURES = 3
"""Starts of a run that may go wrong, for want of memory or processes, before it loses its place."""
TEND_SECONDS = 2.0
"""How often somebody who waits looks whether it is their turn, should a supervisor have been killed."""

_DEVICE = re.compile(r"cpu|mps|cuda:\d{1,3}")


class Waiting(BaseModel):
    """A run in the queue; `position` counts from 1, over all devices."""

    run: str
    name: str
    device: str
    position: int


class QueueRecord(BaseModel):
    """The queue as the page and `finetune queue --json` get it. `running` are runs by their devices."""

    paused: bool
    running: dict[str, str]
    waiting: list[Waiting]


class RunQueue:
    """The queue of one home. Holds nothing: every answer comes from the disk."""

    def __init__(self, home: Home, launcher: Launcher | None = None) -> None:
        self.home = home
        self._launcher = launcher or launcher_of(home)
        self._tended = 0.0

    # ---- what is there -------------------------------------------------------------------------------------------

    def waiting(self) -> list[Waiting]:
        """Those that wait, in their order."""
        waiting = [path for path in self.home.queue.glob("*-*.json") if self.home.run(path.stem).is_waiting]
        tickets = sorted(
            ((read_json(path) or {}, path.stem) for path in waiting),
            key=lambda ticket: (_number(ticket[0].get("order")), ticket[1]),
        )
        return [
            Waiting(run=run, name=self._name_of(run), device=self._device_of(run, record), position=position)
            for position, (record, run) in enumerate(tickets, start=1)
        ]

    def _device_of(self, run: str, ticket: Mapping[str, object]) -> str:
        """As the ticket says; where somebody has damaged it, as the run's settings want."""
        device = str(ticket.get("device"))
        return device if _DEVICE.fullmatch(device) else device_of_run(self.home.run(run))

    def place_of(self, folder: RunFolder) -> Waiting | None:
        """A run's place; None where it doesn't wait."""
        return next((one for one in self.waiting() if one.run == folder.id), None)

    def running(self) -> dict[str, str]:
        """Which run has which device now."""
        names = [path.stem.replace("-", ":") for path in self.home.locks.glob("*.json")]
        return {device: holder.id for device in names if (holder := self.holder_of(device)) is not None}

    @property
    def paused(self) -> bool:
        return self.home.queue_paused.exists()

    def to_record(self) -> QueueRecord:
        return QueueRecord(paused=self.paused, running=self.running(), waiting=self.waiting())

    def _name_of(self, run: str) -> str:
        return RunMeta.of(self.home.run(run)).name

    def holder_of(self, device: str) -> RunFolder | None:
        """The run whose processes have a device, or are about to be there."""
        record = read_json(self._lock_of(device))
        if record is None:
            return None
        folder = self.home.run(str(record.get("run")))
        attempt = folder.attempt(int(_number(record.get("attempt"))))
        there = attempt.path.is_dir() and (self._launcher.state(attempt) == "alive" or is_being_started(attempt))
        return folder if there else None

    def memory_held(self, device: Device) -> int:
        """What the run that has a device holds of its memory, as it said last."""
        holder = self.holder_of(device_name(device))
        steps = [event for event in read_tail(holder.events) if isinstance(event, Step)] if holder else []
        return steps[-1].memory_bytes if steps else 0

    def require_free(self, device: str) -> None:
        """
        Raises:
            FineTuneError: a run has this device, or the queue is paused.
        """
        if self.paused:
            raise FineTuneError.of(Code.QUEUE_PAUSED)
        self.advance()  # somebody may wait whose turn nobody has noticed
        if holder := self.holder_of(device):
            raise FineTuneError.of(Code.DEVICE_BUSY, device=device, run=holder.id)

    def is_stuck(self) -> bool:
        """Whether somebody waits for a device that nobody has."""
        return not self.paused and any(self.holder_of(one.device) is None for one in self.waiting())

    # ---- what is done with it ------------------------------------------------------------------------------------

    def submit(self, folder: RunFolder) -> bool:
        """Put a run at the end of the queue, and start it when it is its turn already; whether it runs now.

        Raises:
            FineTuneError: it could not be started.
        """
        before = len(folder.attempts())
        with self.alone():
            # Somebody else may have started it since then, and it may have ended.
            started = len(folder.attempts()) > before or self._launcher.find(folder) is not None
            if not started and not folder.is_waiting:
                order = max(
                    (_number((read_json(path) or {}).get("order")) for path in self.home.queue.glob("*-*.json")),
                    default=0.0,
                )
                ticket = {"device": device_of_run(folder), "order": order + 1, "attempts": len(folder.attempts())}
                write_json(folder.ticket, ticket)
            self._advance(asked=folder)
        return self._launcher.find(folder) is not None

    def advance(self) -> list[str]:
        """Start the first of those that wait, on each device that is free; returns which."""
        if not any(self.home.queue.glob("*-*.json")):
            return []
        with self.alone():
            return self._advance()

    def tend(self) -> None:
        """As `advance`, for whoever waits anyway: now and then."""
        if time.monotonic() - self._tended > TEND_SECONDS:
            self._tended = time.monotonic()
            self.advance()

    def tend_always(self) -> None:
        """For a thread of whoever stays: should a supervisor be killed, nobody waits in vain."""
        while True:
            try:
                self.advance()
            except Exception:
                log.exception("The queue could not be looked after")
            time.sleep(TEND_SECONDS)

    def cancel(self, folder: RunFolder) -> None:
        """Take a run out of the queue; it can be put there again.

        Raises:
            FineTuneError: it doesn't wait.
        """
        with self.alone():
            self._require(folder)
            folder.ticket.unlink()

    def move(self, folder: RunFolder, position: int) -> None:
        """Give a run another place, counted from 1.

        Raises:
            FineTuneError: it doesn't wait.
        """
        with self.alone():
            self._require(folder)
            names = [one.run for one in self.waiting() if one.run != folder.id]
            names.insert(max(position, 1) - 1, folder.id)
            for order, name in enumerate(names, start=1):
                ticket = self.home.run(name).ticket
                record = read_json(ticket) or {}
                if record.get("order") != order:
                    write_json(ticket, {**record, "order": order})

    def pause(self) -> None:
        """Start nothing more until `resume`; what is running continues."""
        self.home.queue.mkdir(parents=True, exist_ok=True)
        self.home.queue_paused.touch()

    def resume(self) -> list[str]:
        """Start runs again; returns those that were started now."""
        self.home.queue_paused.unlink(missing_ok=True)
        return self.advance()

    # ---- under the lock ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No run of the home is started, moved or deleted by anybody else meanwhile.

        Raises:
            FineTuneError: somebody else has held the lock for too long.
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
        """A run that can't be started doesn't keep the others: only who asked for it is told."""
        for path in self.home.queue.glob("*-*.json"):
            folder = self.home.run(path.stem)
            # Deleted, or started by one who was killed before this line. What can't be read just now keeps its place.
            if not folder.is_waiting and (read_json(path) is not None or not folder.path.exists()):
                path.unlink(missing_ok=True)
        started: list[str] = []
        taken: set[str] = set()
        for one in [] if self.paused else self.waiting():
            folder = self.home.run(one.run)
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
                log.exception("The run %s could not be started: %s", folder.id, error)
                if self._keeps_its_place(folder):
                    taken.add(one.device)
                continue
            started.append(folder.id)
            taken.add(one.device)
        return started

    def _keeps_its_place(self, folder: RunFolder) -> bool:
        """Whether a run that could not be started is tried again: it may be the machine's fault, and soon over."""
        ticket = read_json(folder.ticket) or {}
        failures = int(_number(ticket.get("failures"))) + 1
        if failures >= MOST_FAILURES:
            folder.ticket.unlink(missing_ok=True)
            return False
        # A start that failed half-way has left an attempt.
        write_json(folder.ticket, {**ticket, "failures": failures, "attempts": len(folder.attempts())})
        return True

    def _start(self, folder: RunFolder, device: str) -> None:
        record = self._lock_of(device)
        attempts = folder.attempts()
        write_json(record, {"run": folder.id, "attempt": attempts[-1].number + 1 if attempts else 1})
        self._launcher.start(folder)
        folder.ticket.unlink(missing_ok=True)

    def _lock_of(self, device: str) -> Path:
        return self.home.locks / f"{device.replace(':', '-')}.json"


def device_of_run(folder: RunFolder) -> str:
    """The device that a run wants: cpu, mps, or a card by its number."""
    try:
        wanted = read_run_config(folder).get("device", "auto")
    except FineTuneError:
        wanted = "auto"  # the run itself will say what is wrong with its settings
    return wanted_device(str(wanted))


def wanted_device(setting: str) -> str:
    """The name of the device that the setting `device` means here."""
    return device_name(chosen_device(setting, detect_devices()))


def device_name(device: Device) -> str:
    return f"cuda:{device.index}" if device.kind == "cuda" else device.kind


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def main(arguments: list[str]) -> int:
    """What is to be done once a run has ended: the next one is started, and who wants to know is told."""
    from studio.models.hub_access import fill_environment
    from studio.runs.notify import tell

    home = Home(Path(arguments[0]))
    fill_environment(home)
    queue = RunQueue(home)
    try:
        queue.advance()
    finally:
        tell(home.run(arguments[1]))
    while queue.is_stuck():  # a start went wrong: nobody else may be there to try again
        time.sleep(TEND_SECONDS)
        queue.advance()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
