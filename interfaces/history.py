"""The state of a run, reduced from its events: curves, final event, throughput, and time. All reports derive from it.

The log is read once from the start, then only new events. A million steps take 72 MB.
"""

from __future__ import annotations

import bisect
import math
import threading
from array import array
from collections import deque
from collections.abc import Mapping
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
    """One curve, stored in columns. `metrics` are those of a method, by TRL's names; NaN where a point has none."""

    def __init__(self) -> None:
        self.seqs, self.steps, self.losses = array("q"), array("q"), array("d")
        self.metrics: dict[str, array[float]] = {}

    def append(self, seq: int, step: int, loss: float, metrics: Mapping[str, float]) -> None:
        before = len(self.seqs)
        self.seqs.append(seq)
        self.steps.append(step)
        self.losses.append(loss)
        if metrics or self.metrics:
            for name in metrics:
                if name not in self.metrics:
                    self.metrics[name] = array("d", [math.nan]) * before
            for name, column in self.metrics.items():
                column.append(metrics.get(name, math.nan))

    def forget_after(self, step: int) -> None:
        """Remove the points after `step`, which a resume repeats."""
        end = bisect.bisect_right(self.steps, step)
        del self.seqs[end:], self.steps[end:], self.losses[end:]
        for column in self.metrics.values():
            del column[end:]

    def up_to(self, step: int) -> array[float]:
        """Return the losses up to and including `step`."""
        return self.losses[: bisect.bisect_right(self.steps, step)]

    def has_since(self, seq: int) -> bool:
        return bool(self.seqs) and self.seqs[-1] > seq

    def count_since(self, seq: int) -> int:
        return len(self.seqs) - bisect.bisect_right(self.seqs, seq)


class Totals:
    """Running totals over the steps, before the first one and after each: tokens, seconds, and peak memory in bytes."""

    def __init__(self) -> None:
        self.tokens, self.seconds, self._memory = array("q", [0]), array("d", [0.0]), array("q", [0])

    def append(self, tokens: int, seconds: float, memory: int) -> None:
        self.tokens.append(self.tokens[-1] + tokens)
        self.seconds.append(self.seconds[-1] + seconds)
        self._memory.append(max(self._memory[-1], memory))

    def cut(self, count: int) -> None:
        """Keep only the first `count` steps."""
        for column in (self.tokens, self.seconds, self._memory):
            del column[count + 1 :]

    @property
    def tokens_per_second(self) -> float | None:
        return self.tokens[-1] / self.seconds[-1] if self.seconds[-1] else None

    @property
    def memory_bytes(self) -> int:
        return self._memory[-1]


class Figures:
    """What else is known of each step: its learning rate, gradient norm (NaN where unknown), and memory in bytes."""

    def __init__(self) -> None:
        self.learning_rates, self.grad_norms, self.memory = array("d"), array("d"), array("q")

    def append(self, learning_rate: float, grad_norm: float | None, memory: int) -> None:
        self.learning_rates.append(learning_rate)
        self.grad_norms.append(math.nan if grad_norm is None else grad_norm)
        self.memory.append(memory)

    def cut(self, count: int) -> None:
        """Keep only the first `count` steps."""
        for column in (self.learning_rates, self.grad_norms, self.memory):
            del column[count:]


class Throughput:
    """The speed of the latest steps. The first step includes one-time setup, so it counts only while it is alone."""

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
        """Seconds per step. A logged point may cover several steps."""
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
        """Return the seconds until the last step, without future evaluations and saves."""
        each = self.seconds_per_step
        return None if each is None else (total_steps - self._recent[-1][0]) * each


@dataclass
class RunHistory:
    """The history of one run, shared between threads: hold `lock` from `refresh` until you have used the values.

    Repeated steps count once: when an attempt resumes from a step, the history drops everything that earlier attempts
    logged about later steps.
    """

    folder: RunFolder
    last: int = 0
    train: Points = field(default_factory=Points)
    validation: Points = field(default_factory=Points)
    totals: Totals = field(default_factory=Totals)
    figures: Figures = field(default_factory=Figures)
    throughput: Throughput = field(default_factory=Throughput)
    started: Started | None = None
    restarted: int = 0
    """The `seq` of the event that started the attempt that dropped points; 0 if none did."""
    phase: str = ""
    progress: Phase | None = None
    phases: list[Phase] = field(default_factory=list)
    """The phases of the newest attempt before its first step, each as it began."""
    resumes: list[int] = field(default_factory=list)
    """The steps from which attempts have resumed."""
    stopping: Stopping | None = None
    ending: Failed | Stopped | Finished | None = None
    """The final event of the newest attempt."""
    warnings: list[Problem] = field(default_factory=list)
    samples: list[Sampled] = field(default_factory=list)
    checkpoints: list[CheckpointCommitted] = field(default_factory=list)
    """All committed checkpoints, including those deleted since."""
    first_time: float | None = None
    """The start of the first attempt, in seconds since 1970."""

    def __post_init__(self) -> None:
        self._begun: dict[int, float] = {}
        self._ended: dict[int, float] = {}
        self._reader = EventReader(self.folder.events)
        self._lines: deque[tuple[int, bytes]] = deque(maxlen=RECENT_STEPS)
        self.lock = threading.Lock()  # several threads answer the requests of the tabs

    def refresh(self) -> RunHistory:
        """Read new events."""
        while lines := self._reader.read_lines(READ_BYTES):
            for line in lines:
                self._take(line)
        return self

    def read_new(self) -> list[Event]:
        """Read new events and return them."""
        taken = ((line, self._take(line)) for line in self._reader.read_lines())
        events = (event or parse_event(line, self.folder.events) for line, event in taken)
        return [event for event in events if event is not None]

    @property
    def latest(self) -> Step | None:
        """The most recent step that counts."""
        event = parse_event(self._lines[-1][1]) if self._lines else None
        return event if isinstance(event, Step) else None

    @property
    def peak_memory_bytes(self) -> int | None:
        """The peak memory of the run, from its final event or its steps so far."""
        reported = self.ending.peak_memory_bytes if isinstance(self.ending, Finished) else 0
        return max(reported, self.totals.memory_bytes) or None

    @property
    def seconds(self) -> float:
        """Wall time of all attempts, without the pauses between them."""
        return sum(max(self._ended[attempt] - start, 0.0) for attempt, start in self._begun.items())

    def _take(self, line: bytes) -> Event | None:
        """Process one line; return its event, or None for a step. Parsing steps as events takes three times as long."""
        try:
            record = from_json(line)
            require_schema(self.folder.events, record["schema_version"], SCHEMA_VERSION)
            self._ended[record["attempt"]] = record["time"]
            if record["kind"] == "step":
                step, seconds, tokens = record["step"], record["seconds"], record["tokens"]
                memory, norm = record["memory_bytes"], record.get("grad_norm")
                # Convert first: what isn't finite is a string, and a column must not get ahead of the others.
                loss, rate = float(record["loss"]), float(record["learning_rate"])
                norm = None if norm is None else float(norm)
                metrics = {name: float(value) for name, value in (record.get("metrics") or {}).items()}
                self.totals.append(tokens, seconds, max(memory, record.get("peak_memory_bytes", 0)))
                self.figures.append(rate, norm, memory)
                self.train.append(record["seq"], step, loss, metrics)
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
            if event.phase != self.phase and self.phase != "train":
                self.phases.append(event)
            self.phase, self.progress = event.phase, event
        elif isinstance(event, Evaluated):
            self.validation.append(event.seq, event.step, event.loss, event.metrics or {})
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
        """Start another attempt and drop the points that it repeats."""
        self.started, self.stopping, self.ending, self.phase, self.progress = event, None, None, "", None
        self.phases = []
        self._begun[event.attempt] = event.time
        self.first_time = self.first_time or event.time
        if event.attempt == 1:
            return
        self.restarted, step = event.seq, event.resumed_from_step or 0
        self.train.forget_after(step)
        self.validation.forget_after(step)
        self.totals.cut(len(self.train.steps))
        self.figures.cut(len(self.train.steps))
        self.resumes = [*(one for one in self.resumes if one <= step), *([step] if step else [])]
        self.throughput.forget_after(step)
        self.samples = [sample for sample in self.samples if sample.step <= step]
        self.checkpoints = [one for one in self.checkpoints if one.step <= step]
        self._lines = deque(((at, line) for at, line in self._lines if at <= step), maxlen=RECENT_STEPS)
