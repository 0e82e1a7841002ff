"""`transformers.Trainer` with what we add: padded batches of our own tokens, a count of them, and an honest
validation loss. Each override says why it is there."""

from __future__ import annotations

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
        self.tokens_seen += int(inputs["attention_mask"].sum())
        self.trained_tokens_seen += int((inputs["labels"][:, 1:] != READ_ONLY).sum())
        return super().training_step(model, inputs, num_items_in_batch)

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


def collate(batch: list[dict[str, Any]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Examples as tensors (batch, longest): padded on the right, padding neither read nor learned."""
    longest = max(len(example["input_ids"]) for example in batch)

    def padded(key: str, filler: int) -> torch.Tensor:
        return torch.tensor([example[key] + [filler] * (longest - len(example[key])) for example in batch])

    mask = [[1] * len(example["input_ids"]) + [0] * (longest - len(example["input_ids"])) for example in batch]
    return {
        "input_ids": padded("input_ids", pad_token_id),
        "labels": padded("labels", READ_ONLY),
        "attention_mask": torch.tensor(mask),
    }
