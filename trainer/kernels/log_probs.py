"""Log-probabilities of the trained tokens of a batch, with the head only where a token is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trainer.tokens.batches import Inputs
from trainer.tokens.token_store import IGNORE_INDEX


@dataclass(frozen=True)
class LogProbs:
    """The log-probabilities of a batch in nats: `tokens` (tokens,) in fp32, and how many belong to each sequence."""

    tokens: torch.Tensor
    counts: list[int]

    def sums(self) -> torch.Tensor:
        """Return the log-probability of each sequence's trained tokens (sequences,)."""
        return torch.stack([part.sum() for part in self.tokens.split(self.counts)])

    def means(self) -> torch.Tensor:
        """Return the mean log-probability of each sequence's trained tokens (sequences,)."""
        return self.sums() / self.tokens.new_tensor(self.counts)


def log_probs(model: torch.nn.Module, batch: Inputs, labels: torch.Tensor, chunked: bool) -> LogProbs:
    """Return the log-probabilities of `labels` (rows, tokens) in a flat or padded batch.

    `chunked` says that the model computes them itself (`use_chunked_loss`); otherwise its full logits are needed.
    """
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    counts = trained_counts(labels, batch.get("sequence_lengths"))
    if chunked:
        return LogProbs(-model(**inputs, labels=labels, reduction="none").loss, counts)
    logits = model(**inputs, use_cache=False).logits[:, :-1]
    wanted = labels[:, 1:]
    trained = wanted != IGNORE_INDEX
    losses = torch.nn.functional.cross_entropy(logits[trained].float(), wanted[trained], reduction="none")
    return LogProbs(-losses, counts)


def trained_counts(labels: torch.Tensor, sequence_lengths: list[int] | None) -> list[int]:
    """Return how many tokens of each sequence have a label and a token before them."""
    if sequence_lengths is None:
        counts: list[int] = (labels[:, 1:] != IGNORE_INDEX).sum(dim=1).tolist()
        return counts
    # The first token of a sequence has no label in a flat batch.
    parts = (labels[0] != IGNORE_INDEX).split(sequence_lengths)
    counted: list[int] = torch.stack([part.sum() for part in parts]).tolist()
    return counted
