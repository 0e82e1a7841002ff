"""`transformers.Trainer` with what we add: a count of real tokens, and an honest validation loss.

Each override says why it is there."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from transformers import Trainer, TrainerControl

from trainer.token_store import READ_ONLY


class TrainingLoop(Trainer):
    """The stock loop; `tokens_seen` and `trained_tokens_seen` count what went through `training_step`."""

    tokens_seen = 0
    trained_tokens_seen = 0
    control: TrainerControl

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Counts real tokens: the Trainer's own count includes padding."""
        mask = inputs.get("attention_mask")
        self.tokens_seen += inputs["input_ids"].numel() if mask is None else int(mask.sum())
        self._scale_noise(len(inputs.get("sequence_lengths", [0])))
        self.trained_tokens_seen += int((inputs["labels"][:, 1:] != READ_ONLY).sum())
        return super().training_step(model, inputs, num_items_in_batch)

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
        """The mean per trained token: the stock loop averages batches, however few answers one holds."""
        start = time.monotonic()
        self.model.eval()
        total, count = 0.0, 0
        # A data loader draws a random number: measured or not, training goes on with the same ones.
        with torch.no_grad(), torch.random.fork_rng():
            for inputs in self.get_eval_dataloader(eval_dataset):
                batch = self._prepare_inputs(inputs)
                trained = int((batch["labels"][:, 1:] != READ_ONLY).sum())
                total += float(self.model_wrapped(**batch)["loss"]) * trained
                count += trained
        metrics = {f"{metric_key_prefix}_loss": total / count, f"{metric_key_prefix}_runtime": time.monotonic() - start}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics
