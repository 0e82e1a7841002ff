"""A request to stop: the `stop` file in the run folder, or SIGTERM.

StopSignal      whether a stop was requested
StopWatcher     a thread that sees a request immediately, even if the main thread is busy
StopBudget      how long a batch and a save take here, which bounds a stop
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
from interfaces.folders import RunFolder
from interfaces.run_control import StopMode, StopRequest
from trainer.artifacts.checkpoints import committed_steps
from trainer.training.event_log import EventLog

WATCH_SECONDS = 0.1
MARGIN = 1.5
"""The safety factor for variations of the machine's speed."""
WAY_OUT_SECONDS = 3.0
"""The time to write the adapter and exit."""
BYTES_PER_SECOND = 50_000_000
"""The speed of a slow disk, for the time of a save before the first one."""


class StopRequested(Exception):
    """Aborts a phase in which there is nothing to save yet."""


class StopBudget:
    """The slowest batch and the slowest save of this attempt, in seconds."""

    def __init__(self, save_bytes: int = 0) -> None:
        self._batch = 0.0
        self._save = save_bytes / BYTES_PER_SECOND
        self._begun = time.monotonic()
        self._saved = False

    def begin(self) -> None:
        """Start timing a batch or a save."""
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
        """The maximum seconds of a stop that saves: one batch, one save, and the exit."""
        return MARGIN * (self._batch + self._save) + WAY_OUT_SECONDS


class StopSignal:
    """Whether a stop of this attempt was requested. A repeated TERM is harmless, because it only sets a flag."""

    def __init__(self, folder: RunFolder, attempt: int) -> None:
        self._folder, self._attempt = folder, attempt
        self._terminated = False
        self._wakeup: int | None = None
        self.budget: StopBudget | None = None
        """Set while a stop must wait for a save; None while the process may exit at any time."""

    def listen(self) -> None:
        """Handle SIGTERM and SIGINT as requests. Only the main thread of the run's own process may call this."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        # Python delays a handler until the main thread executes bytecode. This pipe gets the signal immediately.
        self._wakeup, writable = os.pipe()
        os.set_blocking(writable, False)
        signal.set_wakeup_fd(writable, warn_on_full_buffer=False)

    @property
    def listens(self) -> bool:
        """Whether this process belongs to the run and may end with it."""
        return self._wakeup is not None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._terminated = True

    def wait(self, seconds: float) -> None:
        """Wait for some seconds or until a signal arrives."""
        readable, _, _ = select.select([] if self._wakeup is None else [self._wakeup], [], [], seconds)
        if readable and {signal.SIGTERM, signal.SIGINT} & set(os.read(readable[0], 64)):
            self._terminated = True

    def forget_handmade(self) -> None:
        """Remove a handled request that names no attempt, because it would also stop each later attempt."""
        if (request := StopRequest.of(self._folder.stop)) and request.attempt is None:
            self._folder.stop.unlink()

    @property
    def mode(self) -> StopMode | None:
        """How to stop, or None. A stop file for an earlier attempt is ignored."""
        request = StopRequest.of(self._folder.stop)
        if request and request.attempt in (None, self._attempt):
            return request.mode
        return "save" if self._terminated else None

    def check(self) -> None:
        """
        Raises:
            StopRequested: a stop was requested.
        """
        if self.mode is not None:
            raise StopRequested


class StopWatcher(threading.Thread):
    """Responds to a request immediately in the run's own process: logs the time limit of the stop, or ends the process.

    If nothing would be lost (before the first step, and always on a discard), it doesn't wait, because a library may be
    busy with downloading or loading for minutes. The next attempt removes unfinished files, as after a kill.
    """

    def __init__(self, stop: StopSignal, folder: RunFolder, log: EventLog) -> None:
        super().__init__(name="stop-watch", daemon=True)
        self._stop_request, self._folder, self._log = stop, folder, log
        self._closed = threading.Event()

    def close(self) -> None:
        """Stop watching, because the run has ended."""
        self._closed.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        reported = False
        while not self._closed.is_set():
            mode, budget = self._stop_request.mode, self._stop_request.budget
            if mode == "discard" or (mode is not None and budget is None):
                self._leave()
                return
            if mode is not None and budget is not None and not reported:
                reported = True
                with contextlib.suppress(OSError):  # the main thread reports a full disk
                    self._log.append(Stopping(mode="save", within_seconds=round(budget.bound, 1)))
            self._stop_request.wait(WATCH_SECONDS)

    def _leave(self) -> None:
        steps = committed_steps(self._folder)
        with contextlib.suppress(OSError):
            if not self._log.append(Stopped(step=steps[-1] if steps else 0, resumable=bool(steps))):
                return  # the run has already logged its final event
            self._stop_request.forget_handmade()
            self._log.close()
        os._exit(0)
