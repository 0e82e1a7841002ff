"""Writes `events.jsonl`: complete lines, synced immediately for important events, else within a second."""

from __future__ import annotations

import errno
import io
import os
import threading
import time
from pathlib import Path
from types import TracebackType

from interfaces.disk import at
from interfaces.events import (
    ENDINGS,
    CheckpointCommitted,
    Event,
    Failed,
    Phase,
    PhaseName,
    Started,
    Stopping,
    read_tail,
)
from interfaces.files import fsync

DURABLE = (Started, Failed, CheckpointCommitted, Stopping, *ENDINGS)
FSYNC_SECONDS = 0.5
PROGRESS_SECONDS = 0.25
RESERVE_BYTES = 1 << 16
BLOCK_BYTES = 1 << 16


class EventLog:
    """The only writer of a run's events.

    State changes are durable when `append` returns. A thread syncs all other events within a second, even if no more
    events follow.
    """

    def __init__(self, path: Path, attempt: int) -> None:
        _drop_torn_line(path)
        earlier = read_tail(path)
        self.path, self.attempt = path, attempt
        self._seq = earlier[-1].seq if earlier else 0
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        fsync(path.parent)
        self._reserve: Path | None = None
        self._dirty, self._ended, self._progressed = False, False, 0.0
        self._failure: OSError | None = None
        self._lock = threading.RLock()  # downloads, the stop watcher, and the flusher are separate threads
        self._closed = threading.Event()
        self._flusher = threading.Thread(target=self._flush_now_and_then, name="event-log", daemon=True)
        self._flusher.start()

    @property
    def is_behind(self) -> bool:
        """Whether some events may not be on disk yet."""
        return self._dirty

    def hold_space(self, reserve: Path) -> None:
        """Reserve space that is freed for the final event if the disk is full.

        Raises:
            OSError: not even this much space is free, so the run should not start.
        """
        self._reserve = reserve
        with at(reserve), reserve.open("wb") as file:
            file.write(bytes(RESERVE_BYTES))
            file.flush()
            os.fsync(file.fileno())

    def append(self, event: Event) -> bool:
        """Append an event and fill in its `seq`, `attempt`, and `time`. Return False after the final event.

        Raises:
            OSError: the event could not be written; no part of it remains in the file.
        """
        with self._lock:
            if self._ended:
                return False
            if self._failure is not None and not isinstance(event, ENDINGS):
                raise self._failure
            stamp = {"seq": self._seq + 1, "attempt": self.attempt, "time": round(time.time(), 3)}
            line = event.model_copy(update=stamp).model_dump_json(exclude_none=True).encode() + b"\n"
            try:
                self._write(line)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not isinstance(event, ENDINGS):
                    raise
                self._give_up_reserve()
                self._write(line)
            self._seq += 1
            self._ended = isinstance(event, ENDINGS)
            if isinstance(event, DURABLE):
                self._sync()
            return True

    def sync(self) -> None:
        """Make all events durable before this returns."""
        with self._lock:
            self._sync()

    def phase(self, phase: PhaseName, done: int | None = None, total: int | None = None, unit: str = "") -> None:
        """Log the current phase. Intermediate progress is limited to a few lines per second."""
        now = time.monotonic()
        in_between = done is not None and done != total and done > 0
        if in_between and now - self._progressed < PROGRESS_SECONDS:
            return
        self._progressed = now
        self.append(Phase.model_validate({"phase": phase, "done": done, "total": total, "unit": unit}))

    def close(self) -> None:
        """Make all events durable and close the file."""
        self._closed.set()
        self._flusher.join()
        with self._lock:
            self._sync()
            os.close(self._file)
            self._give_up_reserve()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        """Write all of `line` or nothing, because a disk that fills up accepts only a part."""
        with at(self.path):
            size = os.fstat(self._file).st_size
            try:
                written = 0
                while written < len(line):
                    written += os.write(self._file, line[written:])
            except OSError:
                os.ftruncate(self._file, size)
                raise
            self._dirty = True

    def _sync(self) -> None:
        # Sync even if not dirty: the flusher may have reset the flag while its fsync is still running.
        with at(self.path):
            os.fsync(self._file)
        self._dirty = False

    def _flush_now_and_then(self) -> None:
        while not self._closed.wait(FSYNC_SECONDS):
            if self._dirty:
                self._dirty = False
                try:
                    with at(self.path):
                        os.fsync(self._file)  # without the lock, so that training doesn't wait for the disk
                except OSError as error:
                    # A later fsync would succeed and hide the loss, so the next append raises this error.
                    self._failure = error

    def _give_up_reserve(self) -> None:
        if self._reserve is not None:
            self._reserve.unlink(missing_ok=True)


def _drop_torn_line(path: Path) -> None:
    """Truncate the incomplete line that a killed writer may have left. Reads only the end of the file."""
    try:
        with path.open("r+b") as file:
            start = end = file.seek(0, io.SEEK_END)
            while start > 0:
                start = max(start - BLOCK_BYTES, 0)
                file.seek(start)
                newline = file.read(min(BLOCK_BYTES, end - start)).rfind(b"\n")
                if newline >= 0:
                    whole = start + newline + 1
                    break
            else:
                whole = 0
            if whole < end:
                file.truncate(whole)
    except FileNotFoundError:
        return
