"""Counts of validation rows and of updates per epoch, shared by the preview, the estimate, and the run."""

from __future__ import annotations

import math


def rows_kept_aside(rows: int, share: float) -> int:
    """Return how many rows of one source `validation_split` holds out. Duplicate rows may shift this by a few."""
    return (round(rows * share) or 1) if share > 0 and rows > 1 else 0


def packs_about(tokens: float, budget: int) -> int:
    """Estimate the number of packed batches of at most `budget` tokens, which are almost always nearly full."""
    return math.ceil(tokens / budget)


def updates_per_epoch(batches: int, accumulation: int) -> int:
    """Return the updates per epoch. As in transformers, leftover batches at the end of an epoch make one more."""
    return max(math.ceil(batches / accumulation), 1)
