"""Estimates the tokens in the largest batch of a run from the lengths of its rows.

The largest batch determines the peak memory. Because batches are random, it is estimated by drawing batches with a
fixed seed. Without the lengths of the data, every row counts as `max_length` tokens.
"""

from __future__ import annotations

import functools
import math
import random
from dataclasses import dataclass

from interfaces.config import FineTuneConfig, method_of, token_budget
from interfaces.row_lengths import RowLengths

MOST_DRAWS = 20_000
"""The most rows to draw. For more rows, the largest batch hardly grows."""


@dataclass(frozen=True)
class Lengths:
    """Rows by their tokens: `counts[i]` rows of about `tokens[i]` tokens, of which `trained_share` are trained on."""

    tokens: tuple[int, ...]
    counts: tuple[int, ...]
    trained_share: float = 1.0

    @property
    def rows(self) -> int:
        return sum(self.counts)

    @classmethod
    def of_figures(cls, figures: RowLengths) -> Lengths | None:
        """From what was counted of a dataset; None where there are no rows."""
        edges, counts = figures.histogram.edges, figures.histogram.counts
        scale = max(figures.rows / max(figures.counted, 1), 1.0)
        pairs = [
            (min((edges[bar] + edges[bar + 1]) // 2, figures.longest), round(count * scale))
            for bar, count in enumerate(counts)
            if count
        ]
        if not pairs:
            return None
        # The length of the longest row is known exactly, not only its bin.
        last, count = pairs[-1]
        pairs[-1:] = [(last, count - 1)] * (count > 1) + [(figures.longest, 1)]
        tokens, amounts = zip(*pairs, strict=True)
        share = figures.trained_tokens / figures.tokens_kept if figures.tokens_kept else 1.0
        return cls(tokens, amounts, share)


def worst_batch(config: FineTuneConfig, lengths: Lengths | None, padded: bool = False) -> tuple[int, ...]:
    """Return the tokens of each row in the likely largest batch of a run with `config`.

    `padded` batches count with their padding, so one long row makes a large batch. Rows are sequences of tokens, two for
    each example of a method that compares pairs.
    """
    batch, budget = config.per_device_train_batch_size * method_of(config).sequences, token_budget(config)
    limit = config.max_length
    kept = kept_rows(lengths, limit, config.long_rows) if lengths else ()
    if not kept:
        return (limit,) * (max(budget // limit, 1) if budget else batch)
    if budget:
        return _full_pack(kept, budget)
    return _largest_drawn(kept, batch, padded)


def kept_rows(lengths: Lengths, limit: int, long_rows: str) -> tuple[tuple[int, int], ...]:
    """Return (tokens, rows) after truncating, dropping, or splitting long rows."""
    pairs = list(zip(lengths.tokens, lengths.counts, strict=True))
    if long_rows == "drop":
        return tuple((tokens, count) for tokens, count in pairs if tokens <= limit)
    if long_rows == "split":
        return tuple((min(tokens, limit), count * max(math.ceil(tokens / limit), 1)) for tokens, count in pairs)
    return tuple((min(tokens, limit), count) for tokens, count in pairs)


def trained_in(config: FineTuneConfig, rows: tuple[int, ...], lengths: Lengths | None) -> int:
    """Return how many tokens of a batch need logits; without lengths, all but the first of each row.

    ORPO learns the whole chosen conversation, which is half of the tokens. A reward model has no logits.
    """
    if not method_of(config).generates:
        return 0
    if lengths is None:
        return sum(rows) - len(rows)
    share = (1 + lengths.trained_share) / 2 if config.method == "orpo" else lengths.trained_share
    return max(round(sum(rows) * share), 1)


def _full_pack(kept: tuple[tuple[int, int], ...], budget: int) -> tuple[int, ...]:
    """Return a full pack: the longest row, and rows of the mean length."""
    total = sum(tokens * count for tokens, count in kept)
    longest = min(max(tokens for tokens, _ in kept), budget)
    mean = max(round(total / sum(count for _, count in kept)), 1)
    whole, rest = divmod(max(min(budget, total) - longest, 0), mean)
    return (longest,) + (mean,) * whole + ((rest,) if rest else ())


@functools.lru_cache(maxsize=64)
def _largest_drawn(kept: tuple[tuple[int, int], ...], batch: int, padded: bool) -> tuple[int, ...]:
    """Return the largest batch of one shuffled epoch."""
    rows = sum(count for _, count in kept)
    batch = min(batch, rows)
    draw = random.Random(0)
    if rows <= MOST_DRAWS:
        drawn = [tokens for tokens, count in kept for _ in range(count)]
        draw.shuffle(drawn)
    else:
        drawn = draw.choices([tokens for tokens, _ in kept], [count for _, count in kept], k=MOST_DRAWS)
        drawn[0] = max(tokens for tokens, _ in kept)  # a full epoch includes the longest row
    batches = [tuple(drawn[start : start + batch]) for start in range(0, len(drawn), batch)]
    return max(batches, key=(lambda one: max(one) * len(one)) if padded else sum)
