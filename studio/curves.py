"""The curves of a run for a page: appended to as events come, thinned so that extremes stay."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import Any

from interfaces.events import Evaluated, Event, EventReader, Phase, Sampled, Started, Step, Warned, kept
from interfaces.folders import RunFolder, read_json
from interfaces.sentences import PHASES, sentence
from studio.runs import problem_of_run, run_state

MOST_POINTS = 2000


def thinned(xs: list[int], ys: list[float | None], most: int = MOST_POINTS) -> tuple[list[int], list[float | None]]:
    """At most about `most` points: the first, the last, and each stretch's lowest and highest."""
    if len(xs) <= most:
        return xs, ys
    stretches = max((most - 2) // 2, 1)
    chosen = {0, len(xs) - 1}
    for number in range(stretches):
        start, end = number * len(xs) // stretches, (number + 1) * len(xs) // stretches
        real = [index for index in range(start, end) if ys[index] is not None] or [start]
        chosen.add(min(real, key=lambda index: ys[index] or 0.0))
        chosen.add(max(real, key=lambda index: ys[index] or 0.0))
    order = sorted(chosen)
    return [xs[index] for index in order], [ys[index] for index in order]


@dataclass
class RunHistory:
    """One run's events, read once and then only what is new; shared by all tabs that look at it."""

    folder: RunFolder
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = EventReader(self.folder.events)
        self._lock = threading.Lock()  # the tabs' requests are answered on several threads

    def refresh(self) -> list[Event]:
        """Read what was appended; returns all events so far."""
        with self._lock:
            self.events += self._reader.read_new()
            return list(self.events)

    def since(self, seq: int, language: str) -> dict[str, Any]:
        """What a page needs that has seen everything up to `seq`.

        `reset` is true when the page must forget its points: a resume took some of them back, or there are too
        many new ones to send one by one.
        """
        events = self.refresh()
        counted = list(kept(events))
        new = [event for event in counted if event.seq > seq]
        restarted = any(isinstance(event, Started) and event.seq > seq and event.attempt > 1 for event in events)
        reset = seq == 0 or restarted or len(new) > MOST_POINTS
        told = counted if reset else new
        steps = [event for event in told if isinstance(event, Step)]
        evaluations = [event for event in told if isinstance(event, Evaluated)]
        train = thinned([event.step for event in steps], [_number(event.loss) for event in steps])
        validation = thinned([event.step for event in evaluations], [_number(event.loss) for event in evaluations])
        return {
            "last": events[-1].seq if events else 0,
            "reset": reset,
            "train": {"x": train[0], "y": train[1]},
            "validation": {"x": validation[0], "y": validation[1]},
            "status": self._status(events, counted, language),
        }

    def _status(self, events: list[Event], counted: list[Event], language: str) -> dict[str, Any]:
        state = run_state(self.folder, events)
        steps = [event for event in counted if isinstance(event, Step)]
        phases = [event for event in events[-200:] if isinstance(event, Phase | Step)]
        last = steps[-1] if steps else None
        recent = steps[-10:] if len(steps) > 10 else steps[1:] or steps
        seconds = sum(step.seconds for step in recent)
        phase = phases[-1] if phases else None
        problem = problem_of_run(self.folder, events) if state == "failed" else None
        return {
            "state": state.value,
            "name": str((read_json(self.folder.meta) or {}).get("name", "")),
            "phase": ""
            if state.is_over or phase is None
            else PHASES[language]["train" if isinstance(phase, Step) else phase.phase],
            "done": phase.done if isinstance(phase, Phase) else None,
            "total": phase.total if isinstance(phase, Phase) else None,
            "unit": phase.unit if isinstance(phase, Phase) else "",
            "step": last.step if last else 0,
            "total_steps": last.total_steps if last else 0,
            "epoch": last.epoch if last else 0.0,
            "loss": last.loss if last and math.isfinite(last.loss) else None,
            "validation_loss": next((event.loss for event in reversed(counted) if isinstance(event, Evaluated)), None),
            "eta_seconds": round((last.total_steps - last.step) * seconds / len(recent), 1)
            if last and not state.is_over
            else None,
            "tokens_per_second": round(sum(step.tokens for step in recent) / seconds, 1) if seconds else None,
            "memory_bytes": last.memory_bytes if last else None,
            "problem": sentence(problem, language) if problem else "",
            "warnings": [sentence(event.problem, language) for event in counted if isinstance(event, Warned)],
            "samples": _samples(counted),
            "adapter": self.folder.adapter.is_dir(),
        }


def _number(loss: float) -> float | None:
    """NaN and infinity are gaps in a curve, and no JSON."""
    return loss if math.isfinite(loss) else None


def _samples(counted: list[Event]) -> list[dict[str, str]]:
    """Each prompt with its answers before and after; after is empty until it is known."""
    pairs: dict[str, dict[str, str]] = {}
    for event in counted:
        if isinstance(event, Sampled):
            pair = pairs.setdefault(event.prompt, {"prompt": event.prompt, "before": "", "after": ""})
            pair["before" if event.step == 0 else "after"] = event.answer
    return list(pairs.values())
