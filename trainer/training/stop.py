"""A request to stop: the `stop` file in the run folder, or SIGTERM.

StopRequest     whether somebody asked
StopWatcher     a thread that sees a request at once, however busy the main thread is
StopBudget      how long a batch and a save take here: the bound of a stop
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from types import FrameType

from interfaces.events import Stopped, Stopping
from interfaces.files import read_json
from interfaces.folders import RunFolder
from trainer.artifacts.checkpoints import committed_steps
from trainer.training.event_log import EventLog

WATCH_SECONDS = 0.1
MARGIN = 1.5
"""A machine is not equally fast at all times."""
WAY_OUT_SECONDS = 3.0
"""Writing the adapter and leaving."""
BYTES_PER_SECOND = 50_000_000
"""What a slow disk takes; used for a save that was not seen yet."""


class StopRequested(Exception):
    """Leaves a phase in which there is nothing to save yet."""


class StopBudget:
    """The slowest batch and the slowest save of this attempt, in seconds."""

    def __init__(self, save_bytes: int = 0) -> None:
        self._batch = 0.0
        self._save = save_bytes / BYTES_PER_SECOND
        self._begun = time.monotonic()
        self._saved = False

    def begin(self) -> None:
        """A batch or a save begins."""
        self._begun = time.monotonic()

    def end_batch(self) -> None:
        self._batch = max(self._batch, self.seconds)
        self.begin()

    def end_save(self) -> None:
        self._save = max(self._save, self.seconds) if self._saved else self.seconds
        self._saved = True
        self.begin()

    @property
    def seconds(self) -> float:
        """Since `begin`."""
        return time.monotonic() - self._begun

    @property
    def bound(self) -> float:
        """Seconds within which a stop that saves is done: one batch, one save, and the way out."""
        return MARGIN * (self._batch + self._save) + WAY_OUT_SECONDS


class StopRequest:
    """Whether somebody asked this attempt to stop. TERM may come twice: it only sets a flag."""

    def __init__(self, folder: RunFolder, attempt: int) -> None:
        self._folder, self._attempt = folder, attempt
        self._terminated = False
        self._wakeup: int | None = None
        self.budget: StopBudget | None = None
        """Set while a stop has to wait for something to be saved; None while the process may leave at any moment."""

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as a request; only the main thread of a process of our own may."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        # Python calls a handler when the main thread is next at leisure. The kernel writes to this pipe at once.
        self._wakeup, writable = os.pipe()
        os.set_blocking(writable, False)
        signal.set_wakeup_fd(writable, warn_on_full_buffer=False)

    @property
    def listens(self) -> bool:
        """Whether this process is the run's own, and may be ended with it."""
        return self._wakeup is not None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._terminated = True

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until a signal comes."""
        readable, _, _ = select.select([] if self._wakeup is None else [self._wakeup], [], [], seconds)
        if readable and {signal.SIGTERM, signal.SIGINT} & set(os.read(readable[0], 64)):
            self._terminated = True

    def forget_handmade(self) -> None:
        """Remove an empty request that this attempt has obeyed: it names no attempt, and would stop each later one."""
        if self._folder.stop.exists() and "attempt" not in (read_json(self._folder.stop) or {}):
            self._folder.stop.unlink()

    @property
    def mode(self) -> str | None:
        """'save', 'discard' or None. A file left over from an earlier attempt says nothing to this one."""
        if self._folder.stop.exists():
            record = read_json(self._folder.stop) or {}
            if record.get("attempt", self._attempt) == self._attempt:
                return "discard" if record.get("mode") == "discard" else "save"
        return "save" if self._terminated else None

    def check(self) -> None:
        """
        Raises:
            StopRequested: somebody asked.
        """
        if self.mode is not None:
            raise StopRequested


class StopWatcher(threading.Thread):
    """Answers a request at once, in a process of our own: says until when it is done, or ends the process.

    Where nothing would be lost (before the first step, and always when the run is discarded) it waits for nobody:
    a library may be busy with a download or with loading for minutes. What that leaves half done on the disk is
    dropped by the next attempt, as after a kill.
    """

    def __init__(self, stop: StopRequest, folder: RunFolder, log: EventLog) -> None:
        super().__init__(name="stop-watch", daemon=True)
        self._stop_request, self._folder, self._log = stop, folder, log
        self._closed = threading.Event()

    def close(self) -> None:
        """The run has ended by itself."""
        self._closed.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        told = False
        while not self._closed.is_set():
            mode, budget = self._stop_request.mode, self._stop_request.budget
            if mode == "discard" or (mode is not None and budget is None):
                self._leave()
                return
            if mode is not None and budget is not None and not told:
                told = True
                with contextlib.suppress(OSError):  # the main thread meets a full disk too, and says so
                    self._log.append(Stopping(mode="save", within_seconds=round(budget.bound, 1)))
            self._stop_request.wait(WATCH_SECONDS)

    def _leave(self) -> None:
        steps = committed_steps(self._folder)
        with contextlib.suppress(OSError):
            if not self._log.append(Stopped(step=steps[-1] if steps else 0, resumable=bool(steps))):
                return  # the run has said its last word by itself
            self._stop_request.forget_handmade()
            self._log.close()
        os._exit(0)
