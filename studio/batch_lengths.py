"""How many tokens the largest batch of a run will have, from the lengths of the data's rows.

A run is as hungry as its largest batch. Batches are drawn at random, so the largest is estimated by drawing, always in
the same way; without figures of the data each row counts as long as `max_length`.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interfaces.config import FineTuneConfig, token_budget

MOST_DRAWS = 20_000
"""Rows drawn at most: a larger dataset's largest batch is hardly larger."""


@dataclass(frozen=True)
class Lengths:
    """Rows by their tokens: `counts[i]` rows of about `tokens[i]` tokens, of which `trained_share` are learned."""

    tokens: tuple[int, ...]
    counts: tuple[int, ...]
    trained_share: float = 1.0

    @property
    def rows(self) -> int:
        return sum(self.counts)

    @classmethod
    def of_figures(cls, figures: Mapping[str, Any]) -> Lengths | None:
        """From what `trainer/length_figures.py` tells of a dataset; None where there are no rows."""
        edges, counts = figures["histogram"]["edges"], figures["histogram"]["counts"]
        scale = max(figures["rows"] / max(figures["counted"], 1), 1.0)
        pairs = [
            (min((edges[bar] + edges[bar + 1]) // 2, figures["longest"]), round(count * scale))
            for bar, count in enumerate(counts)
            if count
        ]
        if not pairs:
            return None
        # The longest row is known, not only its bar.
        last, count = pairs[-1]
        pairs[-1:] = [(last, count - 1)] * (count > 1) + [(figures["longest"], 1)]
        tokens, amounts = zip(*pairs, strict=True)
        share = figures["trained_tokens"] / figures["tokens_kept"] if figures["tokens_kept"] else 1.0
        return cls(tokens, amounts, share)


def worst_batch(config: FineTuneConfig, lengths: Lengths | None) -> tuple[int, ...]:
    """Tokens of each row of the largest batch that a run with `config` is likely to meet."""
    batch, budget = config.per_device_train_batch_size, token_budget(config.model_dump())
    limit = config.max_length
    if lengths is None:
        return (limit,) * (max(budget // limit, 1) if budget else batch)
    if budget:
        return _full_pack(lengths, limit, budget)
    return _largest_drawn(lengths, limit, min(batch, lengths.rows), config.long_rows)


def trained_in(rows: tuple[int, ...], lengths: Lengths | None) -> int:
    """How many tokens of a batch are learned; without figures all but each row's first."""
    if lengths is None:
        return sum(rows) - len(rows)
    return max(round(sum(rows) * lengths.trained_share), 1)


def _full_pack(lengths: Lengths, limit: int, budget: int) -> tuple[int, ...]:
    """Packs are nearly full: rows of the mean length, and what is left."""
    total = sum(min(tokens, limit) * count for tokens, count in zip(lengths.tokens, lengths.counts, strict=True))
    mean = max(round(total / lengths.rows), 1)
    whole, rest = divmod(min(budget, total), mean)
    return (mean,) * whole + ((rest,) if rest else ())


@functools.lru_cache(maxsize=64)
def _largest_drawn(lengths: Lengths, limit: int, batch: int, long_rows: str) -> tuple[int, ...]:
    """The largest of the batches that one epoch of rows in random order makes."""
    kept = [
        (min(tokens, limit), count)
        for tokens, count in zip(lengths.tokens, lengths.counts, strict=True)
        if tokens <= limit or long_rows != "drop"
    ]
    rows = sum(count for _, count in kept)
    if not rows:
        return (limit,) * batch
    draw = random.Random(0)
    if rows <= MOST_DRAWS:
        drawn = [tokens for tokens, count in kept for _ in range(count)]
        draw.shuffle(drawn)
    else:
        drawn = draw.choices([tokens for tokens, _ in kept], [count for _, count in kept], k=MOST_DRAWS)
    batches = [tuple(drawn[start : start + batch]) for start in range(0, len(drawn), batch)]
    return max(batches, key=sum)
