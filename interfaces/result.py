"""The result of a run, read from its events: the same whether the trainer or the studio asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from interfaces.events import Evaluated, Event, Failed, Finished, Started, Step, Stopped, kept
from interfaces.finetune import RESULT_SCHEMA_VERSION, TrainingResult
from interfaces.folders import RunFolder

Outcome = Literal["finished", "stopped", "failed", "interrupted"]


def result_of(folder: RunFolder, events: Iterable[Event], state: Outcome | None = None) -> TrainingResult:
    """What came of the run. `state` overrules the last event where the process ended without a last word."""
    told = list(events)
    counted = list(kept(told))
    steps = [event for event in counted if isinstance(event, Step)]
    evaluations = [event for event in counted if isinstance(event, Evaluated)]
    last = told[-1] if told else None
    finished = [event for event in counted if isinstance(event, Finished)]
    seconds = sum(step.seconds for step in steps)
    peaks = [step.memory_bytes for step in steps] + [event.peak_memory_bytes for event in finished]
    return {
        "schema_version": RESULT_SCHEMA_VERSION,
        "run": folder.id,
        "state": state or _outcome(last),
        "adapter": str(folder.adapter) if folder.adapter.is_dir() else None,
        "steps": steps[-1].step if steps else 0,
        "train_loss_first": steps[0].loss if steps else None,
        "train_loss_last": steps[-1].loss if steps else None,
        "eval_loss": evaluations[-1].loss if evaluations else None,
        "tokens_per_second": round(sum(step.tokens for step in steps) / seconds, 2) if seconds else None,
        "peak_memory_bytes": max(peaks, default=None),
        "seconds": round(elapsed(told), 2),
        "problem": last.problem.model_dump(mode="json") if isinstance(last, Failed) else None,
    }


def _outcome(last: Event | None) -> Outcome:
    if isinstance(last, Finished):
        return "finished"
    if isinstance(last, Stopped):
        return "stopped"
    return "failed" if isinstance(last, Failed) else "interrupted"


def elapsed(events: list[Event]) -> float:
    """Wall time over all attempts, the pauses between them left out."""
    begun: dict[int, float] = {}
    ended: dict[int, float] = {}
    for event in events:
        if isinstance(event, Started):
            begun[event.attempt] = event.time
        ended[event.attempt] = event.time
    return sum(max(ended[attempt] - start, 0.0) for attempt, start in begun.items())
