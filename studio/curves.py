"""The curves of a run for a page: appended to as events come, thinned so that extremes stay."""

from __future__ import annotations

import bisect
import math
import threading
import time
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from interfaces.events import (
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
    read_tail,
)
from interfaces.folders import RunFolder, read_json
from interfaces.problems import Problem
from interfaces.sentences import PHASES, sentence
from studio.runs import RunState, problem_of_run, run_state

MOST_POINTS = 2000
READ_BYTES = 1 << 24
RECENT_STEPS = 10


def thinned(xs: Sequence[int], ys: Sequence[float], most: int = MOST_POINTS) -> tuple[list[int], list[float | None]]:
    """At most about `most` points: the first, the last, and each stretch's lowest and highest.

    What is not finite is a gap in a curve, and no JSON: it comes as None.
    """
    order: Sequence[int] = range(len(xs))
    if len(xs) > most:
        stretches = max((most - 2) // 2, 1)
        chosen = {0, len(xs) - 1}
        for number in range(stretches):
            start, end = number * len(xs) // stretches, (number + 1) * len(xs) // stretches
            part = ys[start:end]
            if not math.isfinite(sum(part)):  # rare, and slower: leave out what is no number
                part = [y if math.isfinite(y) else math.inf for y in part]
                highest = max((y for y in part if y < math.inf), default=math.inf)
            else:
                highest = max(part)
            chosen |= {start + part.index(min(part)), start + part.index(highest)}
        order = sorted(chosen)
    return [xs[index] for index in order], [_number(ys[index]) for index in order]


class Points:
    """One curve in three columns: a million points are 24 MB."""

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

    def since(self, seq: int) -> dict[str, Any]:
        start = bisect.bisect_right(self.seqs, seq)
        xs, ys = thinned(self.steps[start:], self.losses[start:])
        return {"x": xs, "y": ys}


@dataclass
class RunHistory:
    """One run's events, read once and then only what is new; shared by all tabs that look at it."""

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

    def __post_init__(self) -> None:
        self._reader = EventReader(self.folder.events)
        self._recent: deque[dict[str, Any]] = deque(maxlen=RECENT_STEPS)
        self._lock = threading.Lock()  # the tabs' requests are answered on several threads

    def since(self, seq: int, language: str) -> dict[str, Any]:
        """What a page needs that has seen everything up to `seq`.

        `reset` is true when the page must forget its points: a resume took some of them back, or there are too
        many new ones to send one by one.
        """
        with self._lock:
            self._refresh()
            many = self.train.count_since(seq) > MOST_POINTS
            reset = seq == 0 or seq < self.restarted or many
            told = 0 if reset else seq
            return {
                "last": self.last,
                "reset": reset,
                "train": self.train.since(told),
                "validation": self.validation.since(told),
                "status": self._status(language),
            }

    def _refresh(self) -> None:
        while lines := self._reader.read_lines(READ_BYTES):
            for line in lines:
                self._take(line)

    def _take(self, line: bytes) -> None:
        """Most lines are steps: those are not made into events first, which takes three times as long."""
        try:
            record = from_json(line)
            if record["kind"] == "step":
                self.train.append(record["seq"], record["step"], float(record["loss"]))
                self._recent.append(record)
                self.last, self.phase, self.progress = record["seq"], "train", None
                return
        except (ValueError, TypeError, KeyError):
            return
        event = parse_event(line)
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
        if event.attempt == 1:
            return
        self.restarted, step = event.seq, event.resumed_from_step or 0
        self.train.forget_after(step)
        self.validation.forget_after(step)
        self.samples = [sample for sample in self.samples if sample.step <= step]
        kept = [record for record in self._recent if record["step"] <= step]
        self._recent = deque(kept, maxlen=RECENT_STEPS)

    def _status(self, language: str) -> dict[str, Any]:
        tail = read_tail(self.folder.events)
        state = run_state(self.folder, tail)
        last = self._recent[-1] if self._recent else None
        # The very first step pays for what is set up once.
        recent = [record for record in self._recent if record["step"] > 1] or list(self._recent)
        seconds = sum(record["seconds"] for record in recent)
        progress = self.progress
        problem = problem_of_run(self.folder, tail) if state == "failed" else None
        loss = float(last["loss"]) if last else math.nan
        left = last["total_steps"] - last["step"] if last else 0
        return {
            "state": state.value,
            "name": str((read_json(self.folder.meta) or {}).get("name", "")),
            "phase": "" if state.is_over or not self.phase else PHASES[language][self.phase],
            "done": progress.done if progress else None,
            "total": progress.total if progress else None,
            "unit": progress.unit if progress else "",
            "step": last["step"] if last else 0,
            "total_steps": last["total_steps"] if last else 0,
            "epoch": last["epoch"] if last else 0.0,
            "loss": _number(loss),
            "validation_loss": _number(self.validation.losses[-1]) if self.validation.losses else None,
            "eta_seconds": round(left * _seconds_per_step(recent), 1) if last and not state.is_over else None,
            "tokens_per_second": round(sum(record["tokens"] for record in recent) / seconds, 1) if seconds else None,
            "memory_bytes": last["memory_bytes"] if last else None,
            "attempt": self.started.attempt if self.started else 0,
            "resumed_from_step": self.started.resumed_from_step if self.started else None,
            "saved_step": self.committed.step if self.committed else None,
            "stop_seconds": self._stop_seconds(state),
            "problem": sentence(problem, language) if problem else "",
            "warnings": [sentence(warning, language) for warning in self.warnings],
            "samples": _pairs(self.samples),
            "adapter": self.folder.adapter.is_dir(),
        }

    def _stop_seconds(self, state: RunState) -> float | None:
        """Until a stop is done at the latest; None where nobody asked, or where the bound isn't known yet."""
        asked = self.stopping
        if asked is None or asked.within_seconds is None or state is not RunState.STOPPING:
            return None
        return round(max(asked.within_seconds - max(time.time() - asked.time, 0.0), 0.0), 1)


def _seconds_per_step(steps: list[dict[str, Any]]) -> float:
    """A point of the curve may stand for several steps."""
    if len(steps) == 1:
        return float(steps[0]["seconds"])
    return float(sum(record["seconds"] for record in steps[1:]) / (steps[-1]["step"] - steps[0]["step"]))


def _number(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def _pairs(samples: list[Sampled]) -> list[dict[str, str]]:
    """Each prompt with its answers before and after; after is empty until it is known."""
    pairs: dict[str, dict[str, str]] = {}
    for event in samples:
        pair = pairs.setdefault(event.prompt, {"prompt": event.prompt, "before": "", "after": ""})
        pair["before" if event.step == 0 else "after"] = event.answer
    return list(pairs.values())
