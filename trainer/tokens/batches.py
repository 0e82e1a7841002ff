"""Collates examples into batches: one flat row without padding, or padded if the model doesn't support that."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Literal, Required, TypedDict

import torch

from trainer.tokens.packing import Batch
from trainer.tokens.token_store import IGNORE_INDEX, TokenSequence


class Inputs(TypedDict, total=False):
    """A batch of sequences: in one flat row without padding, or padded (`attention_mask`) with one row for each.

    `desirable` (sequences,) and `mismatched` are KTO's: what the answers are, and the same prompts with other answers.
    """

    input_ids: Required[torch.Tensor]
    labels: Required[torch.Tensor]
    attention_mask: torch.Tensor
    position_ids: torch.Tensor
    sequence_lengths: list[int]
    cu_seq_lens_q: torch.Tensor
    cu_seq_lens_k: torch.Tensor
    max_length_q: int
    max_length_k: int
    desirable: torch.Tensor
    mismatched: Inputs


def flat_batch(batch: Iterable[Batch]) -> Inputs:
    """Put all tokens of a batch in one row (1, tokens), with `position_ids` that restart in each sequence.

    `sequence_lengths` is for our attention, `cu_seq_lens_*` and `max_length_*` are for flash attention. The first token
    of a sequence is never trained on, because the token before it belongs to another sequence.
    """
    examples = flattened(batch)
    lengths = [len(example["input_ids"]) for example in examples]
    bounds = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32)
    ids = torch.tensor([token for example in examples for token in example["input_ids"]])[None]
    labels = torch.tensor([token for example in examples for token in example["labels"]])[None]
    labels[0, bounds[:-1].long()] = IGNORE_INDEX
    return {
        "input_ids": ids, "labels": labels,
        "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
        "sequence_lengths": lengths,
        "cu_seq_lens_q": bounds, "cu_seq_lens_k": bounds, "max_length_q": max(lengths), "max_length_k": max(lengths),
    }  # fmt: skip


def padded_batch(batch: Iterable[Batch], pad_token_id: int) -> Inputs:
    """Pad examples on the right to tensors (batch, longest). Padding is masked and not trained on."""
    examples = flattened(batch)
    longest = max(len(example["input_ids"]) for example in examples)

    def padded(key: Literal["input_ids", "labels"], filler: int) -> torch.Tensor:
        return torch.tensor([example[key] + [filler] * (longest - len(example[key])) for example in examples])

    mask = [[1] * len(example["input_ids"]) + [0] * (longest - len(example["input_ids"])) for example in examples]
    return {
        "input_ids": padded("input_ids", pad_token_id),
        "labels": padded("labels", IGNORE_INDEX),
        "attention_mask": torch.tensor(mask),
    }


def flattened(batch: Iterable[Batch]) -> list[TokenSequence]:
    """Return the examples of a batch of examples, of pairs, or of packs of either."""
    return [example for item in batch for example in (flattened(item) if isinstance(item, list) else [item])]
