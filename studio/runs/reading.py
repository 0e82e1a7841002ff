"""What the curves of a run say in plain words: diverging, overfitting, still falling, leveled off, or too noisy to tell.

The rules, in this order; the first that applies is reported:

diverging    the recent training loss is far above its lowest level, and above the noise
overfitting  the validation loss has been above its minimum for `RISES` evaluations, and rises
falling      the last third of the curve still falls, by more than its noise and by more than `WORTH` of its level
noisy        the noise is larger than what the curve has gained, so that none of the above can be told
leveled      otherwise: the last third is flat

The validation loss decides where there are enough evaluations, otherwise the training loss. A trend is the slope of the
least-squares line, and it counts if it is `SIGNIFICANT` standard errors from zero (any textbook on linear regression).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Finding = Literal[
    "diverging",
    "overfitting",
    "falling",
    "noisy",
    "leveled",
    "too_easy",
    "too_easy_to_score",
    "displaced",
    "no_preference",
]

LEAST_POINTS = 12
"""Training points without which nothing is said."""
LEAST_EVALUATIONS = 6
"""Evaluations without which the training loss decides."""
MOST_POINTS = 240
"""Longer training curves are averaged to this many points."""
RISES = 3
"""Evaluations in a row above the minimum that count as overfitting."""
RISE = 0.02
"""How far above its minimum the validation loss must be, as a share of it."""
ABOVE_LOWEST = 1.3
"""A recent training loss above this many times the lowest level is diverging."""
WORTH = 0.03
"""A curve that falls by less than this share of its level in its last third has leveled off."""
SIGNIFICANT = 3.0


@dataclass(frozen=True)
class Reading:
    """A finding and the step that it refers to: where the best validation loss was, or the last step.

    The last four findings are those of `preference_reading.py`.
    """

    finding: Finding
    step: int
    count: int = 0
    """Evaluations since the best one."""


def read_curves(
    steps: Sequence[int], losses: Sequence[float], eval_steps: Sequence[int], eval_losses: Sequence[float]
) -> Reading | None:
    """Return what the training and validation losses (nats per trained token) say, or None if it is too early."""
    if len(losses) < LEAST_POINTS:
        return None
    losses = _bounded(losses)
    if not all(map(math.isfinite, eval_losses)) or _is_diverging(losses):
        return Reading("diverging", steps[-1])
    best = min(range(len(eval_losses)), key=eval_losses.__getitem__, default=0)
    since = len(eval_losses) - 1 - best
    if eval_losses and since >= RISES and _has_risen(eval_losses, best):
        return Reading("overfitting", eval_steps[best], since)
    decide = eval_losses if len(eval_losses) >= LEAST_EVALUATIONS else losses
    tail = decide[-max(len(decide) // 3, 4) :]
    slope, error = _trend(tail)
    falls = -slope * (len(tail) - 1)
    level = abs(statistics.fmean(tail))
    if falls > WORTH * level and -slope > SIGNIFICANT * error:
        return Reading("falling", steps[-1])
    if _noise(decide) > abs(statistics.fmean(decide[: len(tail)]) - statistics.fmean(tail)):
        return Reading("noisy", steps[-1])
    return Reading("leveled", steps[-1])


def _bounded(losses: Sequence[float]) -> Sequence[float]:
    """Return at most `MOST_POINTS` means of neighboring losses, so that a long run takes no longer."""
    if len(losses) <= MOST_POINTS:
        return losses
    ends = [number * len(losses) // MOST_POINTS for number in range(MOST_POINTS + 1)]
    return [statistics.fmean(losses[start:end]) for start, end in pairwise(ends)]


def _is_diverging(losses: Sequence[float]) -> bool:
    if not all(map(math.isfinite, losses)):
        return True
    width = max(len(losses) // 10, 4)
    levels = [statistics.median(losses[end - width : end]) for end in range(width, len(losses) + 1)]
    lowest = min(levels)
    return levels[-1] > ABOVE_LOWEST * lowest and levels[-1] - lowest > SIGNIFICANT * _noise(losses)


def _has_risen(losses: Sequence[float], best: int) -> bool:
    """Whether the losses after the best one stay above it, and the last ones are the farthest."""
    later = losses[best + 1 :]
    half = len(later) // 2
    return later[-1] > (1 + RISE) * losses[best] and statistics.fmean(later[half:]) >= statistics.fmean(later[:half])


def _trend(losses: Sequence[float]) -> tuple[float, float]:
    """Return the slope of the least-squares line per point, and its standard error."""
    places = range(len(losses))
    line = statistics.linear_regression(places, losses)
    rest = sum((loss - line.intercept - line.slope * place) ** 2 for place, loss in enumerate(losses))
    middle = (len(losses) - 1) / 2
    spread = sum((place - middle) ** 2 for place in places)
    return line.slope, math.sqrt(rest / max(len(losses) - 2, 1) / spread)


def _noise(losses: Sequence[float]) -> float:
    """Return the standard deviation of the noise, from the differences of neighbors: a trend hardly changes these."""
    differences = [abs(after - before) for before, after in pairwise(losses)]
    return statistics.median(differences) / 0.954  # the median of |x - y| for two normal values with deviation 1
