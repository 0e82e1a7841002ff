"""Which of a dataset's tokens a run trains on at its max_length, and findings about the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy

from trainer.data.dataset import Indices
from trainer.tokens.token_store import (
    HOLDS_SPECIAL,
    NO_END,
    NOT_WHOLE,
    PIECE,
    PLAIN,
    REASONING_AS_TEXT,
    REFUSED,
    REJECTED,
    TOOLS_AS_TEXT,
    Items,
    TokenStore,
    TokenView,
)  # fmt: skip


@dataclass(frozen=True)
class Findings:
    """Findings about the rows of a run, for its warnings. Counts are rows, not parts of rows."""

    rows: int
    longest: int
    cut: int
    left_out: Indices
    """Examples that lose all their answers at max_length."""
    not_shown: Indices
    """Examples whose answers the template doesn't show unchanged."""
    unmarked: Indices
    """Examples in which the template marks nothing as generated."""
    holds_special: Indices
    """Examples whose texts contain special tokens of the model."""
    dropped: int
    split: int
    pieces: int
    texts: int
    """Plain texts that continue in another window."""
    windows: int
    not_whole: int
    no_end: int
    tools_as_text: int
    reasoning_as_text: int
    refused: Indices


def select(
    store: TokenStore, used: Indices, max_length: int, long_rows: str, pairs: bool = False
) -> tuple[TokenView, Findings]:
    """Return the items of the examples `used` that have something to train on, and findings about the others.

    With `pairs`, an example needs both its chosen and its rejected answer.
    """
    items = store.items[numpy.isin(store.items["example"], used)]
    flags = items["flags"]
    refused = numpy.unique(items["example"][flags & REFUSED != 0])
    items = items[~numpy.isin(items["example"], refused)] if pairs else items[flags & REFUSED == 0]
    longest = int(items["length"].max()) if len(items) else 0
    long = items["length"] > max_length
    plain = items["flags"] & PLAIN != 0
    dropped = cut = 0
    if long_rows == "drop":
        dropped = len(numpy.unique(items["example"][long]))
        items = items[~numpy.isin(items["example"], items["example"][long])] if pairs else items[~long]
    else:
        # Plain text continues in the next window, because it has no answer that would lose its question.
        cut = len(numpy.unique(items["example"][long & ~plain]))
        items = windows_of(items, max_length)
    learns = (items["trained"] > 0) & (items["first"] < max_length)
    kept = paired(items[learns]) if pairs else items[learns]
    pieces = kept[kept["flags"] & (PIECE | PLAIN) == PIECE]
    windows = kept[kept["flags"] & (PIECE | PLAIN) == PIECE | PLAIN]

    def rows_with(flag: int) -> int:
        return len(numpy.unique(kept["example"][kept["flags"] & flag != 0]))

    gone = items[~numpy.isin(items["example"], kept["example"])]
    left_out = numpy.unique(gone["example"][gone["trained"] > 0])
    silent = gone[~numpy.isin(gone["example"], left_out)]
    not_shown = numpy.unique(silent["example"][silent["flags"] & NOT_WHOLE != 0])
    findings = Findings(
        rows=len(used), longest=longest, cut=cut, left_out=left_out.astype(numpy.int64), not_shown=not_shown.astype(numpy.int64),
        unmarked=numpy.setdiff1d(silent["example"], not_shown).astype(numpy.int64),
        holds_special=numpy.unique(items["example"][items["flags"] & HOLDS_SPECIAL != 0]).astype(numpy.int64),
        dropped=dropped, split=len(numpy.unique(pieces["example"])), pieces=len(pieces), texts=len(numpy.unique(windows["example"])), windows=len(windows), not_whole=rows_with(NOT_WHOLE),
        no_end=rows_with(NO_END), tools_as_text=rows_with(TOOLS_AS_TEXT), reasoning_as_text=rows_with(REASONING_AS_TEXT),
        refused=refused.astype(numpy.int64),
    )  # fmt: skip
    return TokenView(store, kept, max_length), findings


def paired(items: Items) -> Items:
    """Return the items of the examples of which both answers are left."""
    of_rejected = items["flags"] & REJECTED != 0
    both = numpy.intersect1d(items["example"][of_rejected], items["example"][~of_rejected])
    return items[numpy.isin(items["example"], both)]


def windows_of(items: Items, max_length: int) -> Items:
    """Replace each long plain text by windows of at most max_length tokens, which are all trained on."""
    long = (items["flags"] & PLAIN != 0) & (items["length"] > max_length)
    if not long.any():
        return items
    parts = []
    for item, is_long in zip(items, long, strict=True):
        count = math.ceil(int(item["length"]) / max_length) if is_long else 1
        piece = numpy.repeat(item[None], count)
        if is_long:
            starts = numpy.arange(count) * max_length
            piece["start"] += starts.astype(numpy.uint64)
            piece["length"] = numpy.minimum(max_length, int(item["length"]) - starts)
            piece["trained"] = numpy.maximum(piece["length"].astype(numpy.int64) - 1, 0)
            piece["flags"] |= PIECE
        parts.append(piece)
    return numpy.concatenate(parts)
