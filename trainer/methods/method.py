"""What a training method is: how examples become a batch, and a batch a loss. Each method is a module of this room."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch

from interfaces.config import FineTuneConfig
from trainer.kernels.log_probs import LogProbs, log_probs
from trainer.tokens.batches import Inputs
from trainer.tokens.packing import Batch
from trainer.tokens.token_store import IGNORE_INDEX

Collate = Callable[[Iterable[Batch]], Inputs]
Metrics = Mapping[str, tuple[torch.Tensor, int]]
"""What a batch measures besides its loss, by TRL's names: each is a sum and the number of its summands."""
Weights = Mapping[str, torch.Tensor]
"""Weights of a model by their names."""


@dataclass(frozen=True)
class BatchLoss:
    """The loss of a batch: its share of the mean over all examples of a step. `metrics` have no gradients."""

    loss: torch.Tensor
    metrics: Metrics = field(default_factory=dict)


class Method(ABC):
    """A training method, for one run.

    `chunked` says that the model computes the losses of tokens itself; `collate` makes a flat or padded batch of
    examples. `first` are the trained weights before the first step, unless they are a new adapter's: the reference of a
    preference method is the model with them, else the model without an adapter.
    """

    def __init__(self, config: FineTuneConfig, chunked: bool, collate: Collate, first: Weights | None = None) -> None:
        self.config, self.chunked, self._collate, self._first = config, chunked, collate, first

    def collate(self, examples: Iterable[Batch]) -> Inputs:
        """Make a batch of examples; its tensors are moved to the device later."""
        return self._collate(examples)

    @abstractmethod
    def items(self, batch: Inputs) -> int:
        """Return how many items the loss of a batch is a mean over: trained tokens, pairs, or answers."""

    @abstractmethod
    def loss(self, model: torch.nn.Module, batch: Inputs, items: int) -> BatchLoss:
        """Return the sum of the losses of a batch's items, divided by `items`."""

    def log_probs(self, model: torch.nn.Module, batch: Inputs, labels: torch.Tensor) -> LogProbs:
        return log_probs(model, batch, labels, self.chunked)

    def reference_sums(self, model: torch.nn.Module, batch: Inputs) -> torch.Tensor:
        """Return the log-probability of each sequence's trained tokens under the reference (sequences,)."""
        with self._reference(model) as reference:
            return self.log_probs(reference, batch, batch["labels"]).sums()

    @contextlib.contextmanager
    def _reference(self, model: torch.nn.Module) -> Iterator[torch.nn.Module]:
        """Make the model the reference, without dropout and noise, and without gradients."""
        adapted: Any = getattr(model, "module", model)  # a wrapper would wait for the other processes' gradients
        was_training = adapted.training
        adapted.eval()
        try:
            with torch.no_grad(), self._without_training(adapted):
                yield adapted
        finally:
            adapted.train(was_training)

    @contextlib.contextmanager
    def _without_training(self, adapted: Any) -> Iterator[None]:
        """Undo what training has changed."""
        if self._first is None:
            with adapted.disable_adapter():
                yield
            return
        trained = {name: parameter for name, parameter in adapted.named_parameters() if name in self._first}
        now = {name: parameter.data for name, parameter in trained.items()}
        try:
            for name, parameter in trained.items():
                parameter.data = self._first[name]
            yield
        finally:
            for name, parameter in trained.items():
                parameter.data = now[name]


def create_method(
    config: FineTuneConfig, chunked: bool, collate: Collate, first: Weights | None = None
) -> Method:  # fmt: skip
    """Create the config's method from its module, whose class is named after it: `Dpo` in `dpo.py`."""
    module = import_module(f"trainer.methods.{config.method}")
    made: Method = getattr(module, config.method.capitalize())(config, chunked, collate, first)
    return made


def mean_token_loss(method: Method, model: torch.nn.Module, batch: Inputs, items: int) -> BatchLoss:
    """Return the sum of the cross-entropies of a batch's trained tokens, divided by `items`."""
    if method.chunked:
        return BatchLoss(model(**batch, num_items_in_batch=items).loss)
    # The model's own loss is a mean, and may have parts that only the model knows, such as the balance of experts.
    return BatchLoss(model(**batch).loss * (trained_tokens(batch) / items))


def trained_tokens(batch: Inputs) -> int:
    """Return how many tokens of a batch are trained on."""
    return int((batch["labels"][:, 1:] != IGNORE_INDEX).sum())


def sequences_of(batch: Inputs) -> int:
    """Return the number of sequences in a flat or padded batch."""
    return len(batch["sequence_lengths"] if "sequence_lengths" in batch else batch["input_ids"])


def answer_metrics(
    rewards: torch.Tensor, sums: torch.Tensor, desirable: torch.Tensor
) -> dict[str, tuple[torch.Tensor, int]]:
    """Return the rewards and log-probabilities of desired and other answers; all are (sequences,)."""
    found: dict[str, tuple[torch.Tensor, int]] = {}
    for side, which in (("chosen", desirable), ("rejected", ~desirable)):
        if count := int(which.sum()):
            for name, values in (("rewards", rewards), ("logps", sums)):
                found[f"{name}/{side}"] = (values.detach()[which].sum(), count)
    return found


def pair_metrics(rewards: torch.Tensor, sums: torch.Tensor) -> Metrics:
    """Return what pairs measure. Their answers alternate, the chosen one first; both arguments are (sequences,)."""
    of_sides = {"logps/chosen": sums.detach()[0::2], "logps/rejected": sums.detach()[1::2]}
    return {**pair_rewards(rewards), **{name: (values.sum(), len(values)) for name, values in of_sides.items()}}


def pair_rewards(rewards: torch.Tensor) -> dict[str, tuple[torch.Tensor, int]]:
    """Return what the rewards of pairs say, whose answers alternate, the chosen one first (sequences,)."""
    chosen, rejected = rewards.detach()[0::2], rewards.detach()[1::2]
    found = {"rewards/chosen": chosen.sum(), "rewards/rejected": rejected.sum()}
    found["rewards/accuracies"] = (chosen > rejected).sum()
    return {name: (total, len(chosen)) for name, total in found.items()}
