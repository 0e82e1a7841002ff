"""Trainer callbacks: turn state and logs into events, and saves into committed checkpoints.

`trainer/training/stopper.py` has the callback that ends the loop early.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from interfaces.events import CheckpointCommitted, Evaluated, Step
from interfaces.problems import Code, Problem
from trainer.artifacts.checkpoints import Conditions, commit_checkpoint, rotate_checkpoints
from trainer.models.device import memory_bytes, peak_memory_bytes
from trainer.training.attempt import AttemptContext
from trainer.training.loop import LoopCallback, exploded, means_of, not_finite
from trainer.training.stop import StopBudget
from trainer.training.stopper import EvalHistory

EXPLODED_SHARE, EXPLODED_POINTS = 1.5, 3
"""A run has diverged when this many consecutive points are this far above the loss of random guessing."""


SUM, COUNT = "sum:", "count:"
"""How the partial sums of a method's metrics are named."""
NO_METRICS = {"eval_loss", "eval_runtime", "epoch"}


def _rounded(metrics: Mapping[str, float]) -> dict[str, float] | None:
    """Keep lines short: six digits of each metric."""
    return {name: float(f"{value:.6g}") for name, value in metrics.items()} or None


class EventCallback(LoopCallback):
    """Logs steps and evaluations as events.

    A point of the curve is the mean over the steps since the previous one. Checkpoints store the partial sums
    (`unlogged`), so that a resumed curve has the same points as an uninterrupted one.
    """

    def __init__(self, attempt: AttemptContext, validation_rows: int, unlogged: Mapping[str, float]) -> None:
        self._attempt, self._log, self._config = attempt, attempt.log, attempt.config
        self._validation_rows, self.unlogged = validation_rows, dict(unlogged)
        self._begun = 0.0
        self._first_loss: float | None = None
        self._lost = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        warmup = args.get_warmup_steps(state.max_steps)
        if not state.global_step and warmup >= state.max_steps > 1:
            reached = {"warmup": warmup, "steps": state.max_steps, "learning_rate": args.learning_rate}
            self._attempt.warn(Problem.warning(Code.WARMUP_TOO_LONG, **reached))
        patience = self._config.early_stopping_patience
        if not state.global_step and patience and args.do_eval:
            # The first evaluation is always the best so far, and one after the last step has nothing left to stop.
            count = (state.max_steps - 1) // state.eval_steps
            if count <= patience:
                reached = {"patience": patience, "steps": state.max_steps, "count": count}
                self._attempt.warn(Problem.warning(Code.EARLY_STOPPING_UNREACHABLE, **reached))

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._begun = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        taken, means = self.loop.take_step()
        step = {"steps": 1.0, "seconds": time.perf_counter() - self._begun, **taken}
        step |= {SUM + name: total for name, total in means.sums.items()}
        step |= {COUNT + name: count for name, count in means.counts.items()}
        self.unlogged |= {name: self.unlogged.get(name, 0) + value for name, value in step.items()}
        # Always log the last step, and a step that ends the run.
        if state.global_step >= state.max_steps or not math.isfinite(step["loss"]):
            control.should_log = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if logs is None or "loss" not in logs or not self.unlogged:
            return
        reported, self.unlogged = self.unlogged, {}
        loss, grad_norm = reported["loss"] / reported["steps"], logs.get("grad_norm")
        sums, counts = (
            {name.removeprefix(prefix): value for name, value in reported.items() if name.startswith(prefix)}
            for prefix in (SUM, COUNT)
        )
        self._log.append(
            Step(
                step=state.global_step, total_steps=state.max_steps, epoch=round(state.epoch or 0.0, 4),
                loss=loss, learning_rate=logs["learning_rate"], grad_norm=grad_norm,
                tokens=int(reported["tokens"]), trained_tokens=int(reported["trained_tokens"]),
                seconds=round(reported["seconds"], 4), memory_bytes=memory_bytes(self._attempt.compute.device),
                peak_memory_bytes=peak_memory_bytes(self._attempt.compute.device),
                metrics=_rounded(means_of(sums, counts)),
            )
        )  # fmt: skip
        if not math.isfinite(loss):
            raise not_finite("loss", loss, state.global_step, args.learning_rate)
        # A non-finite gradient has just been applied to all weights. With fp16 it is expected; the step is skipped.
        if grad_norm is not None and not math.isfinite(grad_norm) and not self._config.fp16:
            raise not_finite("grad_norm", grad_norm, state.global_step, args.learning_rate)

        self._watch(loss, state.global_step, args.learning_rate)

    def _watch(self, loss: float, step: int, learning_rate: float) -> None:
        """
        Raises:
            FineTuneError: the loss has stayed far above that of random guessing, the logarithm of the vocabulary size.
        """
        self._first_loss = self._first_loss or loss
        vocabulary = self.loop.model.config.get_text_config().vocab_size
        limit = max(self._first_loss, math.log(vocabulary))
        self._lost = self._lost + 1 if loss > EXPLODED_SHARE * limit else 0
        if self._lost == EXPLODED_POINTS:
            raise exploded(loss, limit, step, learning_rate)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: dict[str, float], **_: Any
    ) -> None:
        loss, seconds = metrics["eval_loss"], round(metrics["eval_runtime"], 3)
        more = {name.removeprefix("eval_"): value for name, value in metrics.items() if name not in NO_METRICS}
        self._log.append(
            Evaluated(
                step=state.global_step, loss=loss, examples=self._validation_rows, seconds=seconds, metrics=_rounded(more)
            )
        )  # fmt: skip


class CheckpointCallback(TrainerCallback):
    """Also saves at time intervals, commits the Trainer's checkpoints, and rotates older ones."""

    def __init__(
        self, attempt: AttemptContext, conditions: Conditions, event_callback: EventCallback,
        eval_history: EvalHistory, budget: StopBudget, base: str,
    ) -> None:  # fmt: skip
        self._folder, self._log, self._config, self._conditions = (
            attempt.folder,
            attempt.log,
            attempt.config,
            conditions,
        )
        self._event_callback, self._eval_history, self._budget, self._base = event_callback, eval_history, budget, base
        self._saved = time.monotonic()
        self._verified: set[int] = set()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        minutes = self._config.save_minutes
        if minutes and time.monotonic() - self._saved >= minutes * 60:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        # Sync the log first: if only the checkpoint survived a power loss, the curve would have a gap.
        self._log.sync()
        path, size = commit_checkpoint(
            self._folder, state.global_step, self._conditions, self._event_callback.unlogged, self._base
        )
        self._saved = time.monotonic()
        relative, seconds = str(path.relative_to(self._folder.path)), round(self._budget.seconds, 3)
        self._log.append(CheckpointCommitted(step=state.global_step, path=relative, size_bytes=size, seconds=seconds))
        # Remove the result of an earlier stop: it is older than this checkpoint and must not pass for the run's.
        shutil.rmtree(self._folder.result, ignore_errors=True)
        rotate_checkpoints(self._folder, self._config.save_total_limit, self._eval_history.best_step, self._verified)
        self._budget.end_save()
