"""Supervised fine-tuning: the cross-entropy of the trained tokens, or DFT's."""

from __future__ import annotations

import torch

from trainer.methods.method import BatchLoss, Method, mean_token_loss, trained_tokens
from trainer.tokens.batches import Inputs


class Sft(Method):
    """The mean over trained tokens of the negative log-probability of each (nll), or of that times its probability (dft).

    DFT (Wu et al. 2025, arXiv:2508.05629, equation 9) has no gradient through the probability.
    """

    def items(self, batch: Inputs) -> int:
        return trained_tokens(batch)

    def loss(self, model: torch.nn.Module, batch: Inputs, items: int) -> BatchLoss:
        if self.config.sft.loss_type == "nll":
            return mean_token_loss(self, model, batch, items)
        tokens = self.log_probs(model, batch, batch["labels"]).tokens
        return BatchLoss(-(tokens.detach().exp() * tokens).sum() / items)
