"""Supervised fine-tuning: the cross-entropy of the trained tokens, or DFT's."""

from __future__ import annotations

import torch

from trainer.methods.method import BatchLoss, Method
from trainer.tokens.batches import Inputs
from trainer.tokens.token_store import IGNORE_INDEX


class Sft(Method):
    """The mean over trained tokens of the negative log-probability of each (nll), or of that times its probability (dft).

    DFT (Wu et al. 2025, arXiv:2508.05629, equation 9) has no gradient through the probability.
    """

    def items(self, batch: Inputs) -> int:
        return int((batch["labels"][:, 1:] != IGNORE_INDEX).sum())

    def loss(self, model: torch.nn.Module, batch: Inputs, items: int) -> BatchLoss:
        if self.config.sft.loss_type == "dft":
            tokens = self.log_probs(model, batch, batch["labels"]).tokens
            return BatchLoss(-(tokens.detach().exp() * tokens).sum() / items)
        if self.chunked:
            return BatchLoss(model(**batch, num_items_in_batch=items).loss)
        # The model's own loss is a mean, and may have parts that only the model knows, such as the balance of experts.
        return BatchLoss(model(**batch).loss * (self.items(batch) / items))
