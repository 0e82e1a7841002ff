"""One run's events as columns and last words: read once, then only what is new. A million steps are 24 MB."""

from __future__ import annotations

import bisect
import threading
from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from interfaces.events import (
    SCHEMA_VERSION,
    CheckpointCommitted,
    Evaluated,
    Event,
    EventReader,
    Phase,
    Sampled,
    Started,
    Stopping,
    Warned,
    parse_event,
)  # fmt: skip
from interfaces.folders import RunFolder
from interfaces.problems import Problem
from interfaces.records import require_schema

READ_BYTES = 1 << 24
RECENT_STEPS = 10


class Points:
    """One curve in three columns."""

    def __init__(self) -> None:
        self.seqs, self.steps, self.losses = array("q"), array("q"), array("d")

    def append(self, seq: int, step: int, loss: float) -> None:
        self.seqs.append(seq)
        self.steps.append(step)
        self.losses.append(loss)

    def forget_after(self, step: int) -> None:
        """Take back what a resume does again."""
        end = bisect.bisect_right(self.steps, step)
        del self.seqs[end:], self.steps[end:], self.losses[end:]

    def count_since(self, seq: int) -> int:
        return len(self.seqs) - bisect.bisect_right(self.seqs, seq)


@dataclass
class RunHistory:
    """Shared by all who look at the run: hold `lock` from `refresh` until what was read is used."""

    folder: RunFolder
    last: int = 0
    train: Points = field(default_factory=Points)
    validation: Points = field(default_factory=Points)
    started: Started | None = None
    restarted: int = 0
    """The event that began the attempt that took points back; 0 when none did."""
    phase: str = ""
    progress: Phase | None = None
    stopping: Stopping | None = None
    committed: CheckpointCommitted | None = None
    warnings: list[Problem] = field(default_factory=list)
    samples: list[Sampled] = field(default_factory=list)
    first_time: float | None = None
    """When the first attempt began, seconds since 1970."""

    def __post_init__(self) -> None:
        self._begun: dict[int, float] = {}
        self._ended: dict[int, float] = {}
        self._reader = EventReader(self.folder.events)
        self.recent: deque[dict[str, Any]] = deque(maxlen=RECENT_STEPS)
        self.lock = threading.Lock()  # the tabs' requests are answered on several threads

    def refresh(self) -> None:
        """Read what was appended."""
        while lines := self._reader.read_lines(READ_BYTES):
            for line in lines:
                self._take(line)

    def _take(self, line: bytes) -> None:
        """Most lines are steps: those are not made into events first, which takes three times as long."""
        try:
            record = from_json(line)
            require_schema(self.folder.events, record["schema_version"], SCHEMA_VERSION)
            self._ended[record["attempt"]] = record["time"]
            if record["kind"] == "step":
                self.train.append(record["seq"], record["step"], float(record["loss"]))
                self.recent.append(record)
                self.last, self.phase, self.progress = record["seq"], "train", None
                return
        except (ValueError, TypeError, KeyError):
            return
        event = parse_event(line, self.folder.events)
        if event is not None:
            self.last = event.seq
            self._take_event(event)

    def _take_event(self, event: Event) -> None:
        if isinstance(event, Started):
            self._begin(event)
        elif isinstance(event, Phase):
            self.phase, self.progress = event.phase, event
        elif isinstance(event, Evaluated):
            self.validation.append(event.seq, event.step, event.loss)
        elif isinstance(event, Sampled):
            self.samples.append(event)
        elif isinstance(event, CheckpointCommitted):
            self.committed = event
        elif isinstance(event, Stopping):
            self.stopping = event
        elif isinstance(event, Warned):
            self.warnings.append(event.problem)

    def _begin(self, event: Started) -> None:
        """Another attempt: what it does again is told once. The same rule as `interfaces.events.kept`."""
        self.started, self.stopping = event, None
        self._begun[event.attempt] = event.time
        self.first_time = self.first_time or event.time
        if event.attempt == 1:
            return
        self.restarted, step = event.seq, event.resumed_from_step or 0
        self.train.forget_after(step)
        self.validation.forget_after(step)
        self.samples = [sample for sample in self.samples if sample.step <= step]
        kept = [record for record in self.recent if record["step"] <= step]
        self.recent = deque(kept, maxlen=RECENT_STEPS)

    @property
    def seconds(self) -> float:
        """Wall time over all attempts, the pauses between them left out. As `interfaces.result.elapsed`."""
        return sum(max(self._ended[attempt] - start, 0.0) for attempt, start in self._begun.items())
