"""Continued pre-training: the cross-entropy of every token of plain texts, which lie apart in packed batches."""

from __future__ import annotations

import torch

from trainer.methods.method import BatchLoss, Method, mean_token_loss, trained_tokens
from trainer.tokens.batches import Inputs


class Pretrain(Method):
    """The mean over tokens of the negative log-probability of each."""

    def items(self, batch: Inputs) -> int:
        return trained_tokens(batch)

    def loss(self, model: torch.nn.Module, batch: Inputs, items: int) -> BatchLoss:
        return mean_token_loss(self, model, batch, items)
