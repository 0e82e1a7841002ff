"""Rows to train on and rows kept aside to measure with."""

from __future__ import annotations

import random
from typing import Any

import numpy
import numpy.typing

from interfaces.steps import rows_kept_aside
from trainer.data.dataset import Indices


def split_rows(index: numpy.typing.NDArray[Any], used: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
    """Positions to train on and positions kept aside, by seed; both in the order of the file.

    Each source of a mixed dataset gives its share, and rows that say the same stay on one side. At least one row
    stays on each side where `share` is above 0 and there are two different rows or more.
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
            # A group that is much larger than what is still wanted stays with the training rows.
            if len(groups[group]) <= max(wanted - kept, 1) and kept + len(groups[group]) < len(at):
                chosen[groups[group]] = True
                kept += len(groups[group])
    # One text may stand in two sources.
    chosen |= numpy.isin(entries["group"], entries["group"][chosen])
    if chosen.all():
        return used, used[:0]
    return used[~chosen], used[chosen]


def without_leaks(
    training: numpy.typing.NDArray[Any], validation: numpy.typing.NDArray[Any], used: Indices
) -> tuple[Indices, Indices]:
    """Positions of a validation file of which the training rows say nothing, and of those that leaked."""
    leaked = numpy.isin(validation[used]["group"], training["group"])
    return used[~leaked], used[leaked]
