"""How many rows are kept aside, and how many updates an epoch makes: one rule for the preview, the estimate and the run."""

from __future__ import annotations

import math


def rows_kept_aside(rows: int, share: float) -> int:
    """Of the rows of one source, how many `validation_split` keeps aside; rows that say the same may move a few."""
    return (round(rows * share) or 1) if share > 0 and rows > 1 else 0


def packs_about(tokens: float, budget: int) -> int:
    """Batches of at most `budget` tokens, as full as they nearly always become."""
    return math.ceil(tokens / budget)


def updates_per_epoch(batches: int, accumulation: int) -> int:
    """transformers' own rule: what is left over at the end of an epoch is an update too."""
    return max(math.ceil(batches / accumulation), 1)
