"""A run's events, folded once: its curves, its last words, its throughput, its time. Everything that is said of a run derives from it.

Read from the start, then only what is new. A million steps are 48 MB.
"""

from __future__ import annotations

import bisect
import threading
from array import array
from collections import deque
from dataclasses import dataclass, field

from pydantic_core import from_json

from interfaces.events import (
    SCHEMA_VERSION,
    CheckpointCommitted,
    Evaluated,
    Event,
    EventReader,
    Failed,
    Finished,
    Phase,
    Sampled,
    Started,
    Step,
    Stopped,
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

    def up_to(self, step: int) -> array[float]:
        """The losses of the steps until `step`."""
        return self.losses[: bisect.bisect_right(self.steps, step)]

    def count_since(self, seq: int) -> int:
        return len(self.seqs) - bisect.bisect_right(self.seqs, seq)


class Totals:
    """What the steps have taken so far, each entry with all before it: tokens, seconds, and the most memory in bytes."""

    def __init__(self) -> None:
        self._tokens, self._seconds, self._memory = array("q", [0]), array("d", [0.0]), array("q", [0])

    def append(self, tokens: int, seconds: float, memory: int) -> None:
        self._tokens.append(self._tokens[-1] + tokens)
        self._seconds.append(self._seconds[-1] + seconds)
        self._memory.append(max(self._memory[-1], memory))

    def cut(self, count: int) -> None:
        """Take back all but the first `count`."""
        for column in (self._tokens, self._seconds, self._memory):
            del column[count + 1 :]

    @property
    def tokens_per_second(self) -> float | None:
        return self._tokens[-1] / self._seconds[-1] if self._seconds[-1] else None

    @property
    def memory_bytes(self) -> int:
        return self._memory[-1]


class Throughput:
    """How fast the newest steps were. The very first pays for what is set up once, and counts only while it is alone."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, float, int]] = deque(maxlen=RECENT_STEPS)

    def add(self, step: int, seconds: float, tokens: int) -> None:
        self._recent.append((step, seconds, tokens))

    def forget_after(self, step: int) -> None:
        self._recent = deque((one for one in self._recent if one[0] <= step), maxlen=RECENT_STEPS)

    def _counted(self) -> list[tuple[int, float, int]]:
        return [one for one in self._recent if one[0] > 1] or list(self._recent)

    @property
    def seconds_per_step(self) -> float | None:
        """A point of the curve may stand for several steps."""
        points = self._counted()
        if len(points) < 2:
            return points[0][1] if points else None
        return sum(seconds for _, seconds, _ in points[1:]) / (points[-1][0] - points[0][0])

    @property
    def tokens_per_second(self) -> float | None:
        points = self._counted()
        seconds = sum(seconds for _, seconds, _ in points)
        return sum(tokens for _, _, tokens in points) / seconds if seconds else None

    def seconds_left(self, total_steps: int) -> float | None:
        """Until the last step, without evaluations and saves to come."""
        each = self.seconds_per_step
        return None if each is None else (total_steps - self._recent[-1][0]) * each


@dataclass
class RunHistory:
    """Shared by all who look at the run: hold `lock` from `refresh` until what was read is used.

    What a resume does again counts once: with an attempt that continues from a step, all that earlier attempts said of
    later steps is taken back.
    """

    folder: RunFolder
    last: int = 0
    train: Points = field(default_factory=Points)
    validation: Points = field(default_factory=Points)
    totals: Totals = field(default_factory=Totals)
    throughput: Throughput = field(default_factory=Throughput)
    started: Started | None = None
    restarted: int = 0
    """The event that began the attempt that took points back; 0 when none did."""
    phase: str = ""
    progress: Phase | None = None
    stopping: Stopping | None = None
    ending: Failed | Stopped | Finished | None = None
    """The last word of the newest attempt."""
    warnings: list[Problem] = field(default_factory=list)
    samples: list[Sampled] = field(default_factory=list)
    checkpoints: list[CheckpointCommitted] = field(default_factory=list)
    """All that were committed, whether they are kept or not."""
    first_time: float | None = None
    """When the first attempt began, seconds since 1970."""

    def __post_init__(self) -> None:
        self._begun: dict[int, float] = {}
        self._ended: dict[int, float] = {}
        self._reader = EventReader(self.folder.events)
        self._lines: deque[tuple[int, bytes]] = deque(maxlen=RECENT_STEPS)
        self.lock = threading.Lock()  # the tabs' requests are answered on several threads

    def refresh(self) -> RunHistory:
        """Read what was appended."""
        while lines := self._reader.read_lines(READ_BYTES):
            for line in lines:
                self._take(line)
        return self

    def read_new(self) -> list[Event]:
        """Read what was appended, and return it too."""
        taken = ((line, self._take(line)) for line in self._reader.read_lines())
        events = (event or parse_event(line, self.folder.events) for line, event in taken)
        return [event for event in events if event is not None]

    @property
    def latest(self) -> Step | None:
        """The newest step that counts."""
        event = parse_event(self._lines[-1][1]) if self._lines else None
        return event if isinstance(event, Step) else None

    @property
    def peak_memory_bytes(self) -> int | None:
        """The most memory that the run has held: as its last word says, or its steps so far."""
        told = self.ending.peak_memory_bytes if isinstance(self.ending, Finished) else 0
        return max(told, self.totals.memory_bytes) or None

    @property
    def seconds(self) -> float:
        """Wall time over all attempts, the pauses between them left out."""
        return sum(max(self._ended[attempt] - start, 0.0) for attempt, start in self._begun.items())

    def _take(self, line: bytes) -> Event | None:
        """Most lines are steps: those are not made into events first, which takes three times as long. Returns the others."""
        try:
            record = from_json(line)
            require_schema(self.folder.events, record["schema_version"], SCHEMA_VERSION)
            self._ended[record["attempt"]] = record["time"]
            if record["kind"] == "step":
                step, seconds, tokens = record["step"], record["seconds"], record["tokens"]
                self.totals.append(tokens, seconds, max(record["memory_bytes"], record.get("peak_memory_bytes", 0)))
                self.train.append(record["seq"], step, float(record["loss"]))
                self.throughput.add(step, seconds, tokens)
                self._lines.append((step, line))
                self.last, self.phase, self.progress = record["seq"], "train", None
                return None
        except (ValueError, TypeError, KeyError):
            return None
        event = parse_event(line, self.folder.events)
        if event is not None:
            self.last = event.seq
            self._take_event(event)
        return event

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
            self.checkpoints.append(event)
        elif isinstance(event, Stopping):
            self.stopping = event
        elif isinstance(event, Warned):
            self.warnings.append(event.problem)
        elif isinstance(event, Failed | Stopped | Finished):
            self.ending = event

    def _begin(self, event: Started) -> None:
        """Another attempt: what it does again counts once."""
        self.started, self.stopping, self.ending, self.phase, self.progress = event, None, None, "", None
        self._begun[event.attempt] = event.time
        self.first_time = self.first_time or event.time
        if event.attempt == 1:
            return
        self.restarted, step = event.seq, event.resumed_from_step or 0
        self.train.forget_after(step)
        self.validation.forget_after(step)
        self.totals.cut(len(self.train.steps))
        self.throughput.forget_after(step)
        self.samples = [sample for sample in self.samples if sample.step <= step]
        self.checkpoints = [one for one in self.checkpoints if one.step <= step]
        self._lines = deque(((at, line) for at, line in self._lines if at <= step), maxlen=RECENT_STEPS)
