"""What the curves of a run that compares answers say in plain words. The first rule that applies is reported:

too_easy       the accuracy has been 1 for nearly all of the run, from one of its first steps on; of a reward model it is
               too_easy_to_score
displaced      the chosen answers have become much less likely: the model moves away from both answers
no_preference  at the end, the validation accuracy is not above chance
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from studio.runs.reading import LEAST_POINTS, Finding, Reading

EARLY_STEPS = 20
"""An accuracy of 1 from this step on, or from an earlier one, is reached too early."""
LEAST_PERFECT = 20
"""Points with an accuracy of 1 below which nothing is said."""
FALL = 0.25
"""The share by which the log-probability of the chosen answers must fall to be displaced."""
CHANCE = 0.55
"""A validation accuracy up to this is hardly better than guessing, which has 0.5."""


def read_preferences(
    steps: Sequence[int], train: Mapping[str, Sequence[float]], validation: Mapping[str, Sequence[float]]
) -> Reading | None:
    """Return what the metrics by TRL's names say; None if the method has none, or there is nothing to say.

    Accuracies are shares of pairs, log-probabilities are in nats.
    """
    accuracies = train.get("rewards/accuracies", ())
    if "rewards/chosen" not in train or len(steps) < LEAST_POINTS:
        return None
    perfect_from = next((at for at in range(len(accuracies), 0, -1) if accuracies[at - 1] < 1), 0)
    perfect = len(accuracies) - perfect_from
    if perfect >= LEAST_PERFECT and steps[perfect_from] <= EARLY_STEPS:
        kind: Finding = "too_easy" if "logps/chosen" in train else "too_easy_to_score"  # a reward model has no beta
        return Reading(kind, steps[perfect_from])
    logps = [value for value in train.get("logps/chosen", ()) if math.isfinite(value)]
    width = max(len(logps) // 10, 4)
    if len(logps) >= 2 * width:
        first, last = statistics.median(logps[:width]), statistics.median(logps[-width:])
        if last < (1 + FALL) * first:
            return Reading("displaced", steps[-1])
    measured = validation.get("rewards/accuracies", ())
    if measured and measured[-1] <= CHANCE:
        return Reading("no_preference", steps[-1])
    return None
