"""The reading of preference curves, on seeded accuracies and log-probabilities."""

import random

import pytest

from studio.runs.preference_reading import read_preferences

STEPS = list(range(1, 121))


def metrics(seed: int, accuracy: float, reached: int, fall: float) -> dict[str, list[float]]:
    """A run whose accuracy per batch of 16 reaches a level at a step, and whose chosen answers get less likely."""
    chance = random.Random(seed)

    def share(step: int) -> float:
        level = 0.5 + (accuracy - 0.5) * min(step / reached, 1)
        return sum(chance.random() < level for _ in range(16)) / 16

    logps = [-120 * (1 + fall * step / 120) * (1 + chance.gauss(0, 0.03)) for step in STEPS]
    return {"rewards/accuracies": [share(step) for step in STEPS], "rewards/chosen": [0.1] * 120, "logps/chosen": logps}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("accuracy", "reached", "fall", "measured", "finding"),
    [
        (1.0, 10, 0.0, 1.0, "too_easy"),
        (1.0, 60, 0.0, 1.0, None),  # earned over half of the run
        (0.8, 40, 0.05, 0.75, None),
        (0.8, 40, 0.8, 0.75, "displaced"),
        (0.8, 40, 0.05, 0.5, "no_preference"),
    ],
)
def test_curves_are_read_as_what_they_are(
    seed: int, accuracy: float, reached: int, fall: float, measured: float, finding: str | None
) -> None:
    found = read_preferences(STEPS, metrics(seed, accuracy, reached, fall), {"rewards/accuracies": [0.6, measured]})
    assert (found.finding if found else None) == finding
    if finding == "too_easy":
        scores = {
            name: values for name, values in metrics(seed, accuracy, reached, fall).items() if "logps" not in name
        }
        of_scores = read_preferences(STEPS, scores, {})
        assert of_scores is not None
        assert of_scores.finding == "too_easy_to_score"
        assert found is not None
        assert found.step <= 20


def test_nothing_is_said_of_runs_without_pairs_or_too_early() -> None:
    assert read_preferences(STEPS, {}, {}) is None
    assert (
        read_preferences(STEPS[:5], {name: values[:5] for name, values in metrics(0, 1.0, 1, 0.0).items()}, {}) is None
    )
