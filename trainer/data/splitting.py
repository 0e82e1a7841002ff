"""Splits rows into training and validation rows."""

from __future__ import annotations

import random
from typing import Any

import numpy
import numpy.typing

from interfaces.steps import rows_kept_aside
from trainer.data.dataset import Indices


def split_rows(index: numpy.typing.NDArray[Any], used: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
    """Return the training and the validation positions by seed, both in file order.

    Each source of a mixed dataset contributes its share, and equal rows stay in the same split. Each split gets at
    least one row if `share` is above 0 and there are at least two different rows.
    """
    if share <= 0 or len(used) < 2:
        return used, used[:0]
    chosen = numpy.zeros(len(used), dtype=bool)
    entries = index[used]
    for source in numpy.unique(entries["source"]):
        at = numpy.flatnonzero(entries["source"] == source)
        wanted = rows_kept_aside(len(at), share) or 1
        groups: dict[int, list[int]] = {}
        for position in at.tolist():
            groups.setdefault(int(entries["group"][position]), []).append(position)
        kept = 0
        for group in random.Random(seed).sample(list(groups), len(groups)):
            if kept >= wanted:
                break
            # A group of equal rows that is much larger than the remaining share stays in the training split.
            if len(groups[group]) <= max(wanted - kept, 1) and kept + len(groups[group]) < len(at):
                chosen[groups[group]] = True
                kept += len(groups[group])
    # The same text may appear in two sources.
    chosen |= numpy.isin(entries["group"], entries["group"][chosen])
    if chosen.all():
        return used, used[:0]
    return used[~chosen], used[chosen]


def without_leaks(
    training: numpy.typing.NDArray[Any], validation: numpy.typing.NDArray[Any], used: Indices
) -> tuple[Indices, Indices]:
    """Return the validation positions without those whose rows are also training rows, and the leaked positions."""
    leaked = numpy.isin(validation[used]["group"], training["group"])
    return used[~leaked], used[leaked]
