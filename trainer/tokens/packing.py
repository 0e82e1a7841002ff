"""Which examples share a batch when a batch is counted in tokens."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any

import numpy

from interfaces.config import FineTuneConfig, token_budget
from trainer.tokens.token_store import TokenView

Example = dict[str, list[int]]


def batched(view: TokenView, config: FineTuneConfig) -> TokenView | Packs:
    """Examples to be counted into batches, or with packing the batches themselves."""
    budget = token_budget(config)
    return Packs(view, budget, config.seed) if budget else view


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

    Equal lengths are shuffled by `seed`, so that neighbors in the file don't stay together.
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
