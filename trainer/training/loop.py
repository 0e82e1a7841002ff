"""Extends `transformers.Trainer` with per-step figures, an exact validation loss, and checks before saving.

Each override documents its reason."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState

from interfaces.advice import slower
from interfaces.config import FineTuneConfig
from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.problems import Code, Problem
from trainer.artifacts.results import WholeModel
from trainer.methods.method import Collate, Method, Metrics
from trainer.methods.sft import Sft
from trainer.tokens.batches import Inputs
from trainer.tokens.token_store import IGNORE_INDEX
from trainer.training.first_weights import Residual
from trainer.training.master_weights import MasterWeights
from trainer.training.stop import StopBudget

FINGERPRINT_ELEMENTS = 1 << 22
"""Numbers that are taken in 64 bits at once, so that a large table doesn't exist in them."""


class Means:
    """Means over any number of batches, from their sums and counts."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, batches: Sequence[Metrics]) -> None:
        # One transfer from the device for all values.
        entries = [(name, *measured) for metrics in batches for name, measured in metrics.items()]
        totals = torch.stack([total.float() for _, total, _ in entries]).tolist() if entries else []
        for (name, _, count), total in zip(entries, totals, strict=True):
            self.sums[name] = self.sums.get(name, 0.0) + total
            self.counts[name] = self.counts.get(name, 0) + count

    def values(self) -> dict[str, float]:
        """Return the means, and the margin of the rewards where both sides have one."""
        return means_of(self.sums, self.counts)


def means_of(sums: Mapping[str, float], counts: Mapping[str, float]) -> dict[str, float]:
    """Return the mean of each metric, and the margin of the rewards where both sides have one."""
    found = {name: total / counts[name] for name, total in sums.items()}
    if {"rewards/chosen", "rewards/rejected"} <= found.keys():
        found["rewards/margins"] = found["rewards/chosen"] - found["rewards/rejected"]
    return found


class LoopCallback(TrainerCallback):
    """A callback with access to its loop, which sets the attribute `loop`."""

    loop: TrainingLoop


class TrainingLoop(Trainer):
    """The stock loop with our overrides. `checkpoint_bytes` is the approximate size of a checkpoint."""

    control: TrainerControl
    data_collator: Any
    loss_is_scaled_for_ga = True
    """The method divides by the items of the whole step."""
    measurement_left = False
    """A callback sets this during an evaluation to abort it without a result."""

    def __init__(
        self, *arguments: Any, method: Method | None = None, budget: StopBudget | None = None,
        checkpoint_bytes: int = 0, loraplus_lr_ratio: float = 1.0, embedding_lr_ratio: float = 1.0,
        whole: WholeModel | None = None, masters: MasterWeights | None = None, residual: Residual | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        """Create the loop. Without a `method`, it fine-tunes on the batches of `data_collator`.

        The ratios are those of other learning rates to the usual one. `whole` is the model of a full fine-tuning.
        Of what `masters` has copies, the optimizer updates these. `residual` is a base whose weights have changed.
        """
        super().__init__(*arguments, **options)
        self._b_ratio, self._embedding_ratio = loraplus_lr_ratio, embedding_lr_ratio
        self._whole, self._masters, self._residual = whole, masters, residual
        collate: Collate = self.data_collator
        self.method = method or Sft(FineTuneConfig(), chunked=False, collate=collate)
        self.data_collator = self.method.collate
        self.budget, self.checkpoint_bytes = budget, checkpoint_bytes
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, LoopCallback):
                callback.loop = self
        self._step_losses: list[torch.Tensor] = []
        self._step_metrics: list[Metrics] = []
        self._step_tokens = self._step_trained = 0

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Create the optimizer, and give some weights a rate of their own.

        These are LoRA's B matrices (LoRA+, arXiv:2402.12354, section 3), and embeddings and head where they are trained.
        """
        fresh = self.optimizer is None
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        if fresh and self._b_ratio != 1:
            b = {
                id(one) for name, one in self.model.named_parameters() if "lora_B" in name or "lora_embedding_B" in name
            }
            _with_rate(optimizer, b, self._b_ratio)
        if fresh and self._embedding_ratio != 1:
            tables = (self.model.get_input_embeddings(), self.model.get_output_embeddings())
            _with_rate(
                optimizer, {id(one) for table in tables if table for one in table.parameters()}, self._embedding_ratio
            )
        if fresh and self._masters:
            self._masters.attach_to(optimizer)
        return optimizer

    def _clip_grad_norm(self, model: torch.nn.Module) -> Any:
        """Clip the gradients of what the optimizer updates."""
        if self._masters is None:
            return super()._clip_grad_norm(model)
        return self.accelerator.clip_grad_norm_(self._masters.trained, self.args.max_grad_norm)

    def _get_grad_norm(self, model: torch.nn.Module, grad_norm: Any = None) -> Any:
        if self._masters is not None and grad_norm is None:  # no clipping: only measure
            grad_norm = self.accelerator.clip_grad_norm_(self._masters.trained, math.inf)
        return super()._get_grad_norm(model, grad_norm)

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """Create the stock schedule with another warmup: the k-th of n warmup steps uses k/n of the learning rate.

        The stock warmup wastes its first step with rate 0. A share that is less than one step means no warmup.
        """
        if self.args.warmup_steps < 1 and self.args.warmup_steps * num_training_steps < 1:
            self.args.warmup_steps = 0
        scheduler: Any = super().create_scheduler(num_training_steps, optimizer)
        warmup = self.args.get_warmup_steps(num_training_steps)
        if warmup and self.args.lr_scheduler_type != "constant":  # which has no warmup
            # If all steps are warmup, no decay steps are left, and the stock formula would divide by zero.
            after = scheduler.lr_lambdas if warmup < num_training_steps else [_full for _ in scheduler.lr_lambdas]
            scheduler.lr_lambdas = [functools.partial(_warmed, stock, warmup) for stock in after]
            scheduler._last_lr = [
                base * share(scheduler.last_epoch)
                for base, share in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
            ]
            for group, rate in zip(scheduler.optimizer.param_groups, scheduler._last_lr, strict=True):
                group["lr"] = rate
        made: torch.optim.lr_scheduler.LRScheduler = scheduler
        return made

    def fingerprint(self) -> list[tuple[float, float]]:
        """Return the sum and sum of squares of each trained weight, which change if any weight changes."""
        found = []
        for weight in self.model.parameters():
            if weight.requires_grad:
                total = squares = 0.0
                for part in weight.detach().flatten().split(FINGERPRINT_ELEMENTS):
                    wide = part.double()
                    total, squares = total + float(wide.sum()), squares + float(wide @ wide)
                found.append((total, squares))
        return found

    def load(self, checkpoint: Path) -> None:
        """Load the weights and the trainer state of a checkpoint, without training a step."""
        self.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        self.state.init_training_references(self, self.state.max_steps, self.state.num_train_epochs, None)
        self.load_weights(checkpoint)

    def load_weights(self, checkpoint: Path) -> None:
        """Replace the trained weights with those of a checkpoint."""
        self._load_from_checkpoint(str(checkpoint))

    def take_step(self) -> tuple[dict[str, float], Means]:
        """Return the loss and tokens of the step that has just ended, and its metrics. A dropped step counts nowhere."""
        loss = float(torch.stack(self._step_losses).sum()) if self._step_losses else math.nan
        taken = {"loss": loss, "tokens": self._step_tokens, "trained_tokens": self._step_trained}
        means = Means()
        means.add(self._step_metrics)
        self._step_losses, self._step_metrics, self._step_tokens, self._step_trained = [], [], 0, 0
        return taken, means

    def training_step(self, model: torch.nn.Module, inputs: Inputs, num_items_in_batch: Any = None) -> torch.Tensor:
        """Count tokens without padding, which the Trainer's count includes, and keep the loss of each step."""
        mask = inputs.get("attention_mask")
        self._step_tokens += inputs["input_ids"].numel() if mask is None else int(mask.sum())
        self._scale_noise(len(inputs.get("sequence_lengths", [0])))
        self._step_trained += int((inputs["labels"][:, 1:] != IGNORE_INDEX).sum())
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        self._step_losses.append(loss)
        return loss

    def compute_loss(
        self, model: torch.nn.Module, inputs: Inputs, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:  # fmt: skip
        """Let the method compute the loss. Gradients of several processes are averaged, so each scales its share."""
        found = self.method.loss(model, inputs, num_items_in_batch or self.method.items(inputs))
        self._step_metrics.append(found.metrics)
        return found.loss * self.accelerator.num_processes

    def _get_num_items_in_batch(self, batch_samples: list[Inputs], device: torch.device) -> int:
        """Count what the method's loss is a mean over, in all batches of a step and of all processes."""
        items = sum(self.method.items(batch) for batch in batch_samples)
        if self.args.world_size > 1:
            items = int(self.accelerator.gather(torch.tensor(items, device=device)).sum())
        return items

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the model after checking that its weights are finite and that the disk has space for the checkpoint.

        Raises:
            FineTuneError: a weight isn't finite, or the disk is too full.
        """
        if self.budget is not None:
            self.budget.begin()
        for parameter in self.model.parameters():
            if parameter.requires_grad and not bool(torch.isfinite(parameter).all()):
                value = float(parameter.detach().abs().max())
                raise not_finite(
                    "weights" if self._whole else "adapter", value, self.state.global_step, self.args.learning_rate
                )
        require_space(Path(self.args.output_dir), self.checkpoint_bytes)
        super().save_model(output_dir, _internal_call)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save the adapter as the stock loop does, or a whole model as exactly as its weights are known."""
        place = Path(output_dir or self.args.output_dir)
        weights = self._masters.weights() if self._masters else None
        if self._whole is not None:
            self._whole.write(place, weights)
        elif weights is not None:
            self.model.save_pretrained(place, state_dict=weights)
        elif self._residual is not None:
            with self._residual.as_plain_lora() as weights:
                self.model.save_pretrained(place, state_dict=weights)
        else:
            super()._save(output_dir, state_dict)

    def _scale_noise(self, sequences: int) -> None:
        """Scale NEFTune's noise, which divides by the root of the row length (arXiv:2310.05914), for a flat row."""
        if self.neftune_noise_alpha is not None:
            embeddings = self.accelerator.unwrap_model(self.model).get_input_embeddings()
            embeddings.neftune_noise_alpha = self.neftune_noise_alpha * math.sqrt(sequences)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load the adapter and restore its dtype, because PEFT converts it to fp32; or a whole model."""
        if self._whole is not None and self._masters is not None:
            self._masters.load(self._whole.read(Path(resume_from_checkpoint), self._masters.trained[0].dtype))
            return
        if self._residual is not None:
            self._residual.load(Path(resume_from_checkpoint))
            return
        formats = {name: value.dtype for name, value in self.model.named_parameters() if value.requires_grad}
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        for name, parameter in self.model.named_parameters():
            if name in formats:
                parameter.data = parameter.data.to(formats[name])
        if self._masters is not None:
            self._masters.load_adapter(Path(resume_from_checkpoint))

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Compute the mean loss per item, such as a trained token. The stock loop averages batches of any size.

        Return an empty dict if `measurement_left` aborts the evaluation.
        """
        start = time.monotonic()
        self.model.eval()
        self.measurement_left = False
        total, count, means = 0.0, 0, Means()
        # A data loader draws a random number. Fork the RNG, so that evaluation doesn't affect training.
        with torch.no_grad(), torch.random.fork_rng():
            for inputs in self.get_eval_dataloader(eval_dataset):
                batch = self._prepare_inputs(inputs)
                items = self.method.items(batch)
                found = self.method.loss(self.model_wrapped, batch, items)
                total += float(found.loss) * items
                count += items
                means.add([found.metrics])
                self.control = self.callback_handler.on_prediction_step(self.args, self.state, self.control)
                if self.measurement_left:
                    return {}
        metrics = {f"{metric_key_prefix}_loss": total / count, f"{metric_key_prefix}_runtime": time.monotonic() - start}
        metrics |= {f"{metric_key_prefix}_{name}": value for name, value in means.values().items()}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def _with_rate(optimizer: torch.optim.Optimizer, weights: set[int], ratio: float) -> None:
    """Move weights, given by their `id`, to groups with another learning rate."""
    for group in list(optimizer.param_groups):
        moved = [one for one in group["params"] if id(one) in weights]
        group["params"] = [one for one in group["params"] if id(one) not in weights]
        if moved:
            optimizer.add_param_group({**group, "params": moved, "lr": group["lr"] * ratio})


def not_finite(what: str, value: float, step: int, learning_rate: float) -> FineTuneError:
    """Return the error for a diverged run. The fix is a lower learning rate."""
    params = {"what": what, "value": str(value), "step": step, "learning_rate": learning_rate}
    return FineTuneError(Problem(code=Code.LOSS_NOT_FINITE, params=params, change=slower(learning_rate)))


def exploded(loss: float, limit: float, step: int, learning_rate: float) -> FineTuneError:
    """Return the error for a run that has diverged with a finite loss."""
    params = {"value": round(loss, 2), "limit_loss": round(limit, 2), "step": step, "learning_rate": learning_rate}
    return FineTuneError(Problem(code=Code.LOSS_EXPLODED, params=params, change=slower(learning_rate)))


def _full(_step: int) -> float:
    return 1.0


def _warmed(stock: Callable[[int], float], warmup: int, step: int) -> float:
    """Return the factor of the learning rate at a step, counted from 0."""
    return (step + 1) / warmup if step < warmup else stock(step)
