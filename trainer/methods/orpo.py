"""Odds-ratio preference optimization, by TRL's formula (`ORPOTrainer`, experimental in TRL 1.16)."""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid

from trainer.methods.method import BatchLoss, Method, pair_metrics, sequences_of
from trainer.tokens.batches import Inputs
from trainer.tokens.token_store import IGNORE_INDEX


class Orpo(Method):
    """The cross-entropy of the chosen conversation, and the odds of the chosen answer over the rejected one.

    Hong et al. 2024, arXiv:2403.07691, equations 4, 6 and 7. As in TRL, the cross-entropy is the mean over all tokens
    of the batch's chosen conversations, prompts included, and the odds are those of the mean token of an answer.
    """

    def items(self, batch: Inputs) -> int:
        return sequences_of(batch) // 2

    def loss(self, model: torch.nn.Module, batch: Inputs, items: int) -> BatchLoss:
        beta, answers = self.config.orpo.beta, batch["labels"]
        labels = _with_whole_chosen(batch)
        read = labels != IGNORE_INDEX
        found = self.log_probs(model, batch, labels)
        # The first token of a padded row is labeled, but nothing predicts it.
        start = 0 if "sequence_lengths" in batch else 1
        in_answer = (answers != IGNORE_INDEX)[:, start:][read[:, start:]]
        of_answers = [
            part[mask]
            for part, mask in zip(found.tokens.split(found.counts), in_answer.split(found.counts), strict=True)
        ]
        means = torch.stack([part.mean() for part in of_answers])
        chosen, rejected = means[0::2], means[1::2]
        log_odds = (chosen - rejected) - (_log1mexp(chosen) - _log1mexp(rejected))
        pairs = len(chosen)
        nll = -torch.cat(found.tokens.split(found.counts)[0::2]).mean()
        loss = (nll * pairs - beta * logsigmoid(log_odds).sum()) / items
        metrics = {
            **pair_metrics(beta * means, means),
            "nll_loss": (nll.detach() * pairs, pairs),
            "log_odds_chosen": (log_odds.detach().sum(), pairs),
        }
        return BatchLoss(loss, metrics)


def _with_whole_chosen(batch: Inputs) -> torch.Tensor:
    """Return labels with all tokens of the chosen conversations, and only the answers of the rejected ones."""
    labels: torch.Tensor = batch["labels"].clone()
    lengths = batch.get("sequence_lengths")
    if lengths is None:
        labels[0::2] = batch["input_ids"][0::2].masked_fill(batch["attention_mask"][0::2] == 0, IGNORE_INDEX)
        return labels
    place = 0
    for number, length in enumerate(lengths):
        if number % 2 == 0:
            labels[0, place + 1 : place + length] = batch["input_ids"][0, place + 1 : place + length]
        place += length
    return labels


def _log1mexp(x: torch.Tensor) -> torch.Tensor:
    """Return log(1 - exp(x)) for x < 0 (Mächler 2012, 'Accurately computing log(1 - exp(-|a|))', equation 7)."""
    x = x.clamp(max=-1e-6)  # an answer of probability 1 has no odds
    return torch.where(x > -0.6931471805599453, torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))
