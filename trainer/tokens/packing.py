"""Sequence packing: groups examples into batches by their number of tokens."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any

import numpy

from interfaces.config import FineTuneConfig, token_budget
from trainer.tokens.pairs import JudgedView, PairView
from trainer.tokens.token_store import TokenSequence, TokenView

Batch = TokenSequence | list["Batch"]
"""An example, a pair of them, or a pack."""
View = TokenView | PairView | JudgedView


def batched(view: View, config: FineTuneConfig) -> View | Packs:
    """Return the examples, or with packing, the batches of examples."""
    budget = token_budget(config)
    return Packs(view, budget, config.seed) if budget else view


class Packs(Sequence[list[Batch]]):
    """Examples in packs of at most `budget` tokens (`max_tokens_per_batch`). Nothing is truncated.

    A pack is a batch. Its examples are fixed; only the order of the packs changes in each epoch.
    """

    def __init__(self, view: View, budget: int, seed: int) -> None:
        self._view = view
        self.groups = best_fit(view.lengths, budget, seed)

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, position: Any) -> Any:
        return [self._view[index] for index in self.groups[position]]


def best_fit(lengths: Any, budget: int, seed: int = 0) -> list[list[int]]:
    """Pack indices into groups of at most `budget` tokens with best fit decreasing (Johnson 1973).

    A longer example gets its own group. Equal lengths are shuffled by `seed`, to separate neighbors in the file.
    """
    shuffled = numpy.random.default_rng(seed).permutation(len(lengths))
    order = shuffled[numpy.argsort(-numpy.asarray(lengths, dtype=numpy.int64)[shuffled], kind="stable")]
    groups: list[list[int]] = []
    by_room: dict[int, list[int]] = {}
    rooms: list[int] = []  # the distinct free sizes of the groups, sorted: at most `budget` of them
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
