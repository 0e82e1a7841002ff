"""Writes `events.jsonl`: one line in one write, in order, durable where it matters."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType

from interfaces.events import ENDINGS, CheckpointCommitted, Event, Failed, Phase, PhaseName, Started, read_events

DURABLE = (Started, Failed, CheckpointCommitted, *ENDINGS)
FSYNC_SECONDS = 1.0
PROGRESS_SECONDS = 0.25


class EventLog:
    """The one writer of a run's events.

    Changes of state are on the disk when `append` returns, all else at most about a second later.
    """

    def __init__(self, path: Path, attempt: int) -> None:
        _drop_torn_line(path)
        earlier = read_events(path)
        self.path, self.attempt = path, attempt
        self._seq = earlier[-1].seq if earlier else 0
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._synced = self._progressed = 0.0
        self._lock = threading.Lock()  # downloads report from several threads

    def append(self, event: Event) -> None:
        """Add one event; `seq`, `attempt` and `time` are filled in here."""
        with self._lock:
            self._seq += 1
            stamp = {"seq": self._seq, "attempt": self.attempt, "time": round(time.time(), 3)}
            line = event.model_copy(update=stamp).model_dump_json(exclude_none=True)
            os.write(self._file, line.encode() + b"\n")
            now = time.monotonic()
            if isinstance(event, DURABLE) or now - self._synced >= FSYNC_SECONDS:
                os.fsync(self._file)
                self._synced = now

    def phase(self, phase: PhaseName, done: int | None = None, total: int | None = None, unit: str = "") -> None:
        """Say what is going on. Progress in between is thinned to a few lines a second."""
        now = time.monotonic()
        in_between = done is not None and done != total and done > 0
        if in_between and now - self._progressed < PROGRESS_SECONDS:
            return
        self._progressed = now
        self.append(Phase.model_validate({"phase": phase, "done": done, "total": total, "unit": unit}))

    def close(self) -> None:
        os.fsync(self._file)
        os.close(self._file)

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _drop_torn_line(path: Path) -> None:
    """Cut what a killed writer left behind its last newline: it never was an event."""
    try:
        with path.open("r+b") as file:
            text = file.read()
            whole = text.rfind(b"\n") + 1
            if whole < len(text):
                file.truncate(whole)
    except FileNotFoundError:
        return
