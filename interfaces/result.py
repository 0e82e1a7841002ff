"""The result of a run, derived from its events. The trainer and the studio get the same result."""

from __future__ import annotations

from typing import Literal

from interfaces.events import Failed, Finished, Stopped
from interfaces.finetune import RESULT_SCHEMA_VERSION, TrainingResult
from interfaces.history import RunHistory

Outcome = Literal["finished", "stopped", "failed", "interrupted"]


def result_of(history: RunHistory, state: Outcome | None = None) -> TrainingResult:
    """Return the result of the run so far. `state` overrides the final event, for a process that ended without one."""
    folder, last, losses = history.folder, history.ending, history.train.losses
    speed = history.totals.tokens_per_second
    return {
        "schema_version": RESULT_SCHEMA_VERSION,
        "run": folder.id,
        "state": state or _outcome(last),
        "adapter": str(folder.result) if folder.result.is_dir() else None,
        "steps": history.train.steps[-1] if losses else 0,
        "train_loss_first": losses[0] if losses else None,
        "train_loss_last": losses[-1] if losses else None,
        "eval_loss": history.validation.losses[-1] if history.validation.losses else None,
        "tokens_per_second": None if speed is None else round(speed, 2),
        "peak_memory_bytes": history.peak_memory_bytes,
        "seconds": round(history.seconds, 2),
        "problem": last.problem.model_dump(mode="json") if isinstance(last, Failed) else None,
    }


def _outcome(last: Failed | Stopped | Finished | None) -> Outcome:
    if isinstance(last, Finished):
        return "finished"
    if isinstance(last, Stopped):
        return "stopped"
    return "failed" if isinstance(last, Failed) else "interrupted"
