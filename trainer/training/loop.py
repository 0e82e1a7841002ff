"""`transformers.Trainer` with what we add: each step's own figures, an honest validation loss, guards before a save.

Each override says why it is there."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState

from interfaces.advice import slower
from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.problems import Code, Problem
from trainer.tokens.token_store import IGNORE_INDEX
from trainer.training.stop import StopBudget


class LoopCallback(TrainerCallback):
    """A callback that asks the loop in which it stands, which the loop itself tells it."""

    loop: TrainingLoop


class TrainingLoop(Trainer):
    """The stock loop. `checkpoint_bytes` is about what a checkpoint needs on the disk."""

    control: TrainerControl
    measurement_left = False
    """Set by a callback while a measurement goes on: it is left without a result."""

    def __init__(
        self, *arguments: Any, budget: StopBudget | None = None, checkpoint_bytes: int = 0, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.budget, self.checkpoint_bytes = budget, checkpoint_bytes
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, LoopCallback):
                callback.loop = self
        self._step_losses: list[torch.Tensor] = []
        self._step_tokens = self._step_trained = 0

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The stock schedule, but for its warm-up, whose first step has rate 0 and learns nothing: here the k-th of n
        warm-up steps takes k/n of the rate. A share of all steps that is less than one step is no warm-up.
        """
        if self.args.warmup_steps < 1 and self.args.warmup_steps * num_training_steps < 1:
            self.args.warmup_steps = 0
        scheduler = super().create_scheduler(num_training_steps, optimizer)
        warmup = self.args.get_warmup_steps(num_training_steps)
        if warmup and self.args.lr_scheduler_type != "constant":  # which knows no warm-up
            # Where all steps are warm-up nothing is left to fall, and the stock formula divides by that.
            after = scheduler.lr_lambdas if warmup < num_training_steps else [_full for _ in scheduler.lr_lambdas]
            scheduler.lr_lambdas = [functools.partial(_warmed, stock, warmup) for stock in after]
            scheduler._last_lr = [
                base * share(scheduler.last_epoch)
                for base, share in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
            ]
            for group, rate in zip(scheduler.optimizer.param_groups, scheduler._last_lr, strict=True):
                group["lr"] = rate
        return scheduler

    def fingerprint(self) -> list[tuple[float, float]]:
        """Sum and sum of squares of each weight that is trained: equal only while none has moved."""
        weights = (one.detach().double() for one in self.model.parameters() if one.requires_grad)
        return [(float(weight.sum()), float(weight.square().sum())) for weight in weights]

    def load(self, checkpoint: Path) -> None:
        """The weights and the place of a checkpoint, for what comes without a further step."""
        self.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        self.state.init_training_references(self, self.state.max_steps, self.state.num_train_epochs, None)
        self.load_weights(checkpoint)

    def load_weights(self, checkpoint: Path) -> None:
        """The adapter of a checkpoint, in the place of the one that is there."""
        self._load_from_checkpoint(str(checkpoint))

    def take_step(self) -> dict[str, float]:
        """Loss and tokens of the step that has just ended. A step that was dropped half-way is in no one's figures."""
        loss = float(torch.stack(self._step_losses).sum()) if self._step_losses else math.nan
        taken = {"loss": loss, "tokens": self._step_tokens, "trained_tokens": self._step_trained}
        self._step_losses, self._step_tokens, self._step_trained = [], 0, 0
        return taken

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Counts real tokens (the Trainer's own count includes padding), and keeps the loss of each single step."""
        mask = inputs.get("attention_mask")
        self._step_tokens += inputs["input_ids"].numel() if mask is None else int(mask.sum())
        self._scale_noise(len(inputs.get("sequence_lengths", [0])))
        self._step_trained += int((inputs["labels"][:, 1:] != IGNORE_INDEX).sum())
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._step_losses.append(loss)
        return loss

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """What was checked here is in every checkpoint: it is finite, and there is space for all of it.

        Raises:
            FineTuneError: a weight is not finite, or the disk is too full.
        """
        if self.budget is not None:
            self.budget.begin()
        for parameter in self.model.parameters():
            if parameter.requires_grad and not bool(torch.isfinite(parameter).all()):
                value = float(parameter.detach().abs().max())
                raise not_finite("adapter", value, self.state.global_step, self.args.learning_rate)
        require_space(Path(self.args.output_dir), self.checkpoint_bytes)
        super().save_model(output_dir, _internal_call)

    def _scale_noise(self, sequences: int) -> None:
        """NEFTune divides by the root of a row's length (arXiv:2310.05914): a flat row is `sequences` rows."""
        if self.neftune_noise_alpha is not None:
            embeddings = self.accelerator.unwrap_model(self.model).get_input_embeddings()
            embeddings.neftune_noise_alpha = self.neftune_noise_alpha * math.sqrt(sequences)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """PEFT makes what it loads 32 bits wide; an adapter that was trained in 16 goes on in 16."""
        formats = {name: value.dtype for name, value in self.model.named_parameters() if value.requires_grad}
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        for name, parameter in self.model.named_parameters():
            if name in formats:
                parameter.data = parameter.data.to(formats[name])

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """The mean per trained token: the stock loop averages batches, however few answers one holds.

        Empty when it was left half-way, as `measurement_left` asks.
        """
        start = time.monotonic()
        self.model.eval()
        self.measurement_left = False
        total, count = 0.0, 0
        # A data loader draws a random number: measured or not, training continues with the same ones.
        with torch.no_grad(), torch.random.fork_rng():
            for inputs in self.get_eval_dataloader(eval_dataset):
                batch = self._prepare_inputs(inputs)
                trained = int((batch["labels"][:, 1:] != IGNORE_INDEX).sum())
                total += float(self.model_wrapped(**batch)["loss"]) * trained
                count += trained
                self.control = self.callback_handler.on_prediction_step(self.args, self.state, self.control)
                if self.measurement_left:
                    return {}
        metrics = {f"{metric_key_prefix}_loss": total / count, f"{metric_key_prefix}_runtime": time.monotonic() - start}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def not_finite(what: str, value: float, step: int, learning_rate: float) -> FineTuneError:
    """Training has diverged; the cure is a lower rate."""
    params = {"what": what, "value": str(value), "step": step, "learning_rate": learning_rate}
    return FineTuneError(Problem(code=Code.LOSS_NOT_FINITE, params=params, change=slower(learning_rate)))


def exploded(loss: float, limit: float, step: int, learning_rate: float) -> FineTuneError:
    """Training has diverged, and stays finite."""
    params = {"value": round(loss, 2), "limit_loss": round(limit, 2), "step": step, "learning_rate": learning_rate}
    return FineTuneError(Problem(code=Code.LOSS_EXPLODED, params=params, change=slower(learning_rate)))


def _full(_step: int) -> float:
    return 1.0


def _warmed(stock: Callable[[int], float], warmup: int, step: int) -> float:
    """The share of the learning rate at a step, counted from 0."""
    return (step + 1) / warmup if step < warmup else stock(step)
