"""Ends the loop early, on a request or when the validation loss stops improving."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Any

import numpy
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from trainer.training.attempt import AttemptContext
from trainer.training.loop import LoopCallback
from trainer.training.stop import StopBudget


@dataclass
class EvalHistory:
    """The validation losses so far, in nats per trained token, by step."""

    losses: dict[int, float] = field(default_factory=dict)

    @property
    def best_step(self) -> int | None:
        """The step with the lowest finite loss; the earlier one if two are equal."""
        finite = {step: loss for step, loss in self.losses.items() if math.isfinite(loss)}
        return min(finite, key=lambda step: (finite[step], step)) if finite else None

    def is_exhausted(self, patience: int) -> bool:
        """Return whether the last `patience` evaluations brought no improvement. Never with a patience of 0."""
        best = self.best_step
        since = [step for step in self.losses if best is None or step > best]
        return 0 < patience <= len(since)


class RngState:
    """The states of all random number generators that the Trainer stores in a checkpoint."""

    def __init__(self) -> None:
        self._python, self._numpy, self._torch = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None

    def restore(self) -> None:
        random.setstate(self._python)
        numpy.random.set_state(self._numpy)
        torch.set_rng_state(self._torch)
        if self._cuda is not None:
            torch.cuda.set_rng_state(self._cuda)


class Stopper(LoopCallback):
    """Ends the loop on a request, or when the validation loss stops improving.

    A request takes effect after the current batch. An incomplete step is dropped and its random numbers are restored,
    so that the checkpoint is that of the last complete step.
    """

    def __init__(
        self, attempt: AttemptContext, budget: StopBudget, eval_history: EvalHistory, resume_step: int | None
    ) -> None:
        self._stop, self._budget, self._eval_history = attempt.stop, budget, eval_history
        self._patience = attempt.config.early_stopping_patience
        self._rng_state = RngState()
        self._saved_step = resume_step or 0
        self.asked = False
        self.exhausted = eval_history.is_exhausted(self._patience)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._budget.begin()

    def on_substep_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._budget.end_batch()
        if self._stop.mode is not None:
            self._rng_state.restore()
            self._end(state, control)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._budget.end_batch()
        self._rng_state = RngState()
        self._stop.budget = self._budget  # from here on, a stop must save
        # A request during the last step comes too late to skip anything.
        if self._stop.mode is not None and state.global_step < state.max_steps:
            self._end(state, control)

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Abort an evaluation on a request. A resume repeats it."""
        if self._stop.mode is None:
            return
        self.loop.measurement_left = True
        if state.global_step < state.max_steps:
            self._end(state, control)

    def _end(self, state: TrainerState, control: TrainerControl) -> None:
        self.asked = True
        control.should_training_stop = True
        control.should_evaluate = False
        control.should_save = self._stop.mode == "save" and state.global_step > self._saved_step

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._saved_step = state.global_step

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: dict[str, float], **_: Any
    ) -> None:
        step = state.global_step
        self._eval_history.losses[step] = metrics["eval_loss"]
        if self._eval_history.best_step == step:
            control.should_save = True  # always save a new best step
        if self._eval_history.is_exhausted(self._patience):
            self.exhausted = True
            control.should_training_stop = True
            control.should_save = True
