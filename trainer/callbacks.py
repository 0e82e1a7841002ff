"""What happens at each step: state and logs become events, requests and guards become control flags."""

from __future__ import annotations

import math
import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from interfaces.config import FineTuneConfig
from interfaces.events import CheckpointCommitted, Evaluated, Step
from interfaces.folders import RunFolder
from interfaces.problems import Code, FineTuneError
from trainer.checkpoints import commit_checkpoint, rotate_checkpoints
from trainer.device import Compute, memory_bytes
from trainer.event_log import EventLog
from trainer.loop import TrainingLoop
from trainer.stop import StopRequest


class Reporter(TrainerCallback):
    """Tells each step and each evaluation as an event."""

    def __init__(self, log: EventLog, compute: Compute, config: FineTuneConfig, validation_rows: int) -> None:
        self._log, self._compute, self._config, self._validation_rows = log, compute, config, validation_rows
        self.loop: TrainingLoop | None = None
        self._seconds = self._begun = 0.0
        self._tokens = self._trained = 0

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._begun = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._seconds += time.perf_counter() - self._begun
        control.should_log = control.should_log or state.global_step >= state.max_steps  # the last step is always told

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if logs is None or "loss" not in logs or self.loop is None:
            return
        tokens, trained = self.loop.tokens_seen, self.loop.trained_tokens_seen
        self._log.append(
            Step(
                step=state.global_step, total_steps=state.max_steps, epoch=round(state.epoch or 0.0, 4),
                loss=logs["loss"], learning_rate=logs["learning_rate"], grad_norm=logs.get("grad_norm"),
                tokens=tokens - self._tokens, trained_tokens=trained - self._trained,
                seconds=round(self._seconds, 4), memory_bytes=memory_bytes(self._compute.device),
            )
        )  # fmt: skip
        self._tokens, self._trained, self._seconds = tokens, trained, 0.0
        if not math.isfinite(logs["loss"]):
            rate = self._config.learning_rate
            raise FineTuneError.of(
                Code.LOSS_NOT_FINITE, value=str(logs["loss"]), step=state.global_step, learning_rate=rate
            )

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: dict[str, float], **_: Any
    ) -> None:
        loss, seconds = metrics["eval_loss"], round(metrics["eval_runtime"], 3)
        self._log.append(Evaluated(step=state.global_step, loss=loss, examples=self._validation_rows, seconds=seconds))


class Keeper(TrainerCallback):
    """Saves by the clock too, commits what the Trainer has saved, and rotates what is older."""

    def __init__(self, folder: RunFolder, log: EventLog, config: FineTuneConfig, facts: dict[str, Any]) -> None:
        self._folder, self._log, self._config, self._facts = folder, log, config, facts
        self._saved = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        minutes = self._config.save_minutes
        if minutes and time.monotonic() - self._saved >= minutes * 60:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        path, size = commit_checkpoint(self._folder, state.global_step, self._facts)
        self._saved = time.monotonic()
        relative = str(path.relative_to(self._folder.path))
        self._log.append(CheckpointCommitted(step=state.global_step, path=relative, size_bytes=size))
        rotate_checkpoints(self._folder, self._config.save_total_limit)


class Stopper(TrainerCallback):
    """Ends the loop when somebody asks, or when the validation loss has stopped falling."""

    def __init__(self, stop: StopRequest, patience: int, earlier_losses: list[float]) -> None:
        self._stop, self._patience = stop, patience
        self._losses = list(earlier_losses)
        self.asked = False

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        mode = self._stop.mode
        # A request during the very last step comes too late to leave anything out.
        if mode is None or state.global_step >= state.max_steps:
            return
        self.asked = True
        control.should_training_stop = True
        # A measurement that is due is still made: the resumed run would never make it up.
        control.should_evaluate = control.should_evaluate and mode == "save"
        control.should_save = mode == "save"

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: dict[str, float], **_: Any
    ) -> None:
        self._losses.append(metrics["eval_loss"])
        best = self._losses.index(min(self._losses))
        if self._patience and len(self._losses) - 1 - best >= self._patience:
            control.should_training_stop = True
            control.should_save = True
