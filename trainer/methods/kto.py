"""Kahneman-Tversky optimization, by TRL's formula (`KTOTrainer`, TRL 1.16)."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from trainer.methods.method import BatchLoss, Method, answer_metrics, sequences_of
from trainer.tokens.batches import Inputs, flattened
from trainer.tokens.packing import Batch
from trainer.tokens.token_store import IGNORE_INDEX, TokenSequence


class Kto(Method):
    """The mean over answers of how far each one's reward is on the wrong side of the divergence from the reference.

    Ethayarajh et al. 2024, arXiv:2402.01306, equations 7 and 8. The divergence is estimated as there, from answers that
    follow another prompt of the batch: each prompt gets the answer before its own. It has no gradient.
    """

    def collate(self, examples: Iterable[Batch]) -> Inputs:
        listed = flattened(examples)
        made = self._collate(listed)
        made["desirable"] = torch.tensor([one["desirable"] for one in listed])
        if self.config.kto.loss_type == "kto" and len(listed) > 1:  # the last batch may have a single answer
            others = [listed[-1], *listed[:-1]]
            made["mismatched"] = self._collate(
                [_with_answer(*both, self.config.max_length) for both in zip(listed, others, strict=True)]
            )
        return made

    def items(self, batch: Inputs) -> int:
        return sequences_of(batch)

    def loss(self, model: torch.nn.Module, batch: Inputs, items: int) -> BatchLoss:
        settings, inputs = self.config.kto, batch.copy()
        desirable, mismatched = inputs.pop("desirable"), inputs.pop("mismatched", None)
        divergence = torch.zeros((), device=desirable.device)
        if mismatched is not None:
            with torch.no_grad():
                sums = self.log_probs(model, mismatched, mismatched["labels"]).sums()
            divergence = (sums - self.reference_sums(model, mismatched)).mean().clamp(min=0)
        reference = self.reference_sums(model, inputs)
        sums = self.log_probs(model, inputs, inputs["labels"]).sums()
        ratios = sums - reference
        # With a divergence of 0 this is the unpaired loss of APO (arXiv:2408.06266, equation 7).
        towards = torch.where(desirable, ratios - divergence, divergence - ratios)
        weights = torch.where(desirable, settings.desirable_weight, settings.undesirable_weight)
        loss = (weights * (1 - torch.sigmoid(settings.beta * towards))).sum() / items
        metrics = answer_metrics(settings.beta * ratios, sums, desirable)
        if mismatched is not None:
            metrics["kl"] = (divergence * len(ratios), len(ratios))
        return BatchLoss(loss, metrics)


def _with_answer(example: TokenSequence, other: TokenSequence, max_length: int) -> TokenSequence:
    """Return the prompt of an example with the answer of another one, cut at `max_length` tokens."""
    asked, answered = _answer_start(example), _answer_start(other)
    ids = [*example["input_ids"][:asked], *other["input_ids"][answered:]][:max_length]
    labels = [*[IGNORE_INDEX] * asked, *other["labels"][answered:]][:max_length]
    return {"input_ids": ids, "labels": labels}


def _answer_start(example: TokenSequence) -> int:
    """Return the position of the first trained token."""
    return next(place for place, label in enumerate(example["labels"]) if label != IGNORE_INDEX)
