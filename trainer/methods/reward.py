"""Reward modeling, by TRL's formula (`RewardTrainer`, TRL 1.16)."""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid

from trainer.methods.method import BatchLoss, Method, pair_rewards, sequences_of
from trainer.tokens.batches import Inputs


class Reward(Method):
    """The mean over pairs of how unlikely their order is, given the scores of both answers.

    Bradley and Terry 1952, as in Ouyang et al. 2022, arXiv:2203.02155, equation 1. `center_rewards_coefficient` weights
    the square of the sum of a pair's scores (Eisenstein et al. 2023, arXiv:2312.09244, appendix), which centers them.
    """

    def items(self, batch: Inputs) -> int:
        return sequences_of(batch) // 2

    def loss(self, model: torch.nn.Module, batch: Inputs, items: int) -> BatchLoss:
        scores = model(**{name: value for name, value in batch.items() if name != "labels"}).logits[:, 0].float()
        chosen, rejected = scores[0::2], scores[1::2]
        loss = -logsigmoid(chosen - rejected).sum()
        if weight := self.config.reward.center_rewards_coefficient:
            loss = loss + weight * ((chosen + rejected) ** 2).sum()
        return BatchLoss(loss / items, pair_rewards(scores))
