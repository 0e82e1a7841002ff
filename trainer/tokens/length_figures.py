"""Statistics of a dataset's token lengths: truncated rows, lost answers, padding, and steps."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy

from interfaces.row_lengths import CutHistogram, LengthFigures, RefusedRow
from interfaces.steps import updates_per_epoch
from trainer.tokens.packing import best_fit
from trainer.tokens.selection import windows_of
from trainer.tokens.token_store import PLAIN, REFUSED, Items

EDGES = 48
"""The most bins of the histogram."""
_SHUFFLES_SEED = 0


class HasTokens(Protocol):
    """A token store, or a sample in memory."""

    refused: list[RefusedRow]

    def highest_id(self, item: Any) -> int:
        """Return the highest token id of an item."""

    def trained_within(self, items: Items, max_length: int) -> int:
        """Return how many tokens before max_length are trained on, in items that are longer."""


def figures(
    store: HasTokens,
    items: Items,
    rows: int,
    max_length: int,
    batch: int,
    long_rows: str = "truncate",
) -> LengthFigures:
    """Compute statistics of `items`, which may be a sample of a dataset with `rows` rows. Counts are over the items.

    A plain text is never cut: it continues in the next window.
    """
    items = items[items["flags"] & REFUSED == 0]
    whole = items["length"].astype(numpy.int64)
    is_cut = (whole > max_length) & (items["flags"] & PLAIN == 0)
    used = _used(items, max_length, long_rows)
    # Distinguish items with nothing to train on at any length from those that lose it by truncation.
    learns = used["trained"] > 0
    lost = learns & (used["first"] >= max_length)
    cut = used["length"] > max_length
    trained = int(used["trained"][~cut].sum()) + store.trained_within(used[cut], max_length)
    kept = _kept_lengths(used, max_length)
    return LengthFigures(
        rows=rows, counted=len(items), max_length=max_length,
        tokens=int(whole.sum()), tokens_kept=int(kept.sum()), trained_tokens=trained,
        longest=int(whole.max()) if len(whole) else 0, median=int(numpy.median(whole)) if len(whole) else 0,
        cut=int(is_cut.sum()), lost=int(lost.sum()), nothing_to_learn=int((~learns).sum()),
        padding_share=round(padding_share(kept, batch), 4),
        histogram=_histogram(items),
    )  # fmt: skip


def steps_per_epoch(
    training: Items, max_length: int, long_rows: str, batch: int, accumulation: int, budget: int = 0
) -> int:
    """Return the updates per epoch over the training items. With a `budget`, the batch size counts tokens, not rows."""
    kept = _kept_lengths(_used(training[training["flags"] & REFUSED == 0], max_length, long_rows), max_length)
    return updates_per_epoch(len(best_fit(kept, budget)) if budget else math.ceil(len(kept) / batch), accumulation)


def _used(items: Items, max_length: int, long_rows: str) -> Items:
    return windows_of(items[items["length"] <= max_length] if long_rows == "drop" else items, max_length)


def _kept_lengths(used: Items, max_length: int) -> Any:
    """Return the final lengths of the items that have something to train on."""
    learns = (used["trained"] > 0) & (used["first"] < max_length)
    return numpy.minimum(used["length"][learns].astype(numpy.int64), max_length)


def padding_share(lengths: Any, batch: int) -> float:
    """Return the share of padding in padded batches, in a random order by seed."""
    if not len(lengths):
        return 0.0
    shuffled = numpy.random.default_rng(_SHUFFLES_SEED).permutation(lengths)
    whole = numpy.pad(shuffled, (0, -len(shuffled) % batch)).reshape(-1, batch)
    rows = numpy.minimum(batch, len(shuffled) - numpy.arange(len(whole)) * batch)
    return 1 - float(shuffled.sum()) / float((whole.max(axis=1) * rows).sum())


def _histogram(items: Items) -> CutHistogram:
    lengths = items["length"].astype(numpy.int64)
    if not len(lengths):
        return CutHistogram(edges=[0, 1], counts=[0], cut=[0], lost=[0])
    longest = max(int(lengths.max()), 16)
    width = _round_width(longest / EDGES)
    edges = numpy.arange(0, longest + width, width)
    counts, _ = numpy.histogram(
        lengths, bins=numpy.append(edges[:-1], edges[-1] + 1) if len(edges) > 1 else [0, longest]
    )
    can_be_cut = items[items["flags"] & PLAIN == 0]
    by_length = numpy.sort(can_be_cut["length"].astype(numpy.int64))
    by_first = numpy.sort(can_be_cut["first"][can_be_cut["trained"] > 0].astype(numpy.int64))
    ends = edges[1:]
    return CutHistogram(
        edges=edges.tolist(), counts=counts.tolist(),
        cut=(len(by_length) - numpy.searchsorted(by_length, ends, side="right")).tolist(),
        lost=(len(by_first) - numpy.searchsorted(by_first, ends, side="left")).tolist(),
    )  # fmt: skip


def _round_width(least: float) -> int:
    """Round a bin width up to 8, 16, 32, ... tokens."""
    return max(8, 1 << math.ceil(math.log2(max(least, 1))))
