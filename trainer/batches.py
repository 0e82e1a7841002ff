"""Examples become batches: one flat row without padding, or padded where a model can't do with that; and packs."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy
import torch

from trainer.token_store import READ_ONLY, TokenView

Example = dict[str, list[int]]


class Packs(Sequence[list[Example]]):
    """Examples in groups of at most `budget` tokens: what `max_tokens_per_batch` asks for. Nothing is cut.

    A group is a batch; which examples share one is decided once, and their order anew in each epoch.
    """

    def __init__(self, view: TokenView, budget: int, seed: int) -> None:
        self._view = view
        self.groups = best_fit(numpy.minimum(view.items["length"], view.max_length), budget, seed)

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, position: Any) -> Any:
        return [self._view[index] for index in self.groups[position]]


def best_fit(lengths: Any, budget: int, seed: int = 0) -> list[list[int]]:
    """Indices in groups of at most `budget` tokens, by best fit decreasing (Johnson 1973); longer ones lie alone.

    Equal lengths are shuffled by `seed`, so that neighbours in the file don't stay together.
    """
    shuffled = numpy.random.default_rng(seed).permutation(len(lengths))
    order = shuffled[numpy.argsort(-numpy.asarray(lengths, dtype=numpy.int64)[shuffled], kind="stable")]
    groups: list[list[int]] = []
    by_room: dict[int, list[int]] = {}
    rooms: list[int] = []  # the different rooms that are left in groups, in order: at most `budget` of them
    for index in order.tolist():
        length = int(lengths[index])
        at = bisect.bisect_left(rooms, length)
        if at == len(rooms):
            groups.append([index])
            group, room = len(groups) - 1, budget - length
        else:
            room = rooms[at]
            group = by_room[room].pop()
            if not by_room[room]:
                del by_room[room], rooms[at]
            groups[group].append(index)
            room -= length
        if room > 0:
            if room not in by_room:
                bisect.insort(rooms, room)
                by_room[room] = []
            by_room[room].append(group)
    return groups


def flat_batch(batch: Iterable[Example | list[Example]]) -> dict[str, Any]:
    """All tokens of a batch in one row (1, tokens), with `position_ids` that begin anew in each sequence.

    `sequence_lengths` goes to our attention, `cu_seq_lens_*` and `max_length_*` to flash attention. The first token
    of a sequence is never learned: what lies before it belongs to another.
    """
    examples = _flattened(batch)
    lengths = [len(example["input_ids"]) for example in examples]
    bounds = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32)
    ids = torch.tensor([token for example in examples for token in example["input_ids"]])[None]
    labels = torch.tensor([token for example in examples for token in example["labels"]])[None]
    labels[0, bounds[:-1].long()] = READ_ONLY
    return {
        "input_ids": ids, "labels": labels,
        "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
        "sequence_lengths": lengths,
        "cu_seq_lens_q": bounds, "cu_seq_lens_k": bounds, "max_length_q": max(lengths), "max_length_k": max(lengths),
    }  # fmt: skip


def padded_batch(batch: Iterable[Example | list[Example]], pad_token_id: int) -> dict[str, torch.Tensor]:
    """Examples as tensors (batch, longest): padded on the right, padding neither read nor learned."""
    examples = _flattened(batch)
    longest = max(len(example["input_ids"]) for example in examples)

    def padded(key: str, filler: int) -> torch.Tensor:
        return torch.tensor([example[key] + [filler] * (longest - len(example[key])) for example in examples])

    mask = [[1] * len(example["input_ids"]) + [0] * (longest - len(example["input_ids"])) for example in examples]
    return {
        "input_ids": padded("input_ids", pad_token_id),
        "labels": padded("labels", READ_ONLY),
        "attention_mask": torch.tensor(mask),
    }


def _flattened(batch: Iterable[Example | list[Example]]) -> list[Example]:
    return [example for item in batch for example in (item if isinstance(item, list) else [item])]
