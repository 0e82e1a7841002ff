"""The reading of curves in plain words, on thirty seeded curves."""

import math
import random

import pytest

from studio.runs.reading import Finding, Reading, read_curves

STEPS = list(range(1, 121))
EVAL_STEPS = list(range(10, 121, 10))


def noisy(losses: list[float], chance: random.Random, noise: float) -> list[float]:
    return [loss * (1 + chance.gauss(0, noise)) for loss in losses]


def decay(steps: list[int], scale: float, floor: float, start: float) -> list[float]:
    return [floor + start * math.exp(-step / scale) for step in steps]


def curves(kind: Finding, seed: int) -> tuple[list[float], list[float]]:
    """The training and validation losses of a run of 120 steps."""
    chance = random.Random(seed)
    start, floor = chance.uniform(1.5, 3.0), chance.uniform(0.3, 1.0)
    noise = chance.uniform(0.01, 0.06)
    if kind == "falling":
        scale = chance.uniform(70, 200)
        train, validation = decay(STEPS, scale, floor, start), decay(EVAL_STEPS, scale, floor, start)
    elif kind == "leveled":
        scale = chance.uniform(5, 15)
        train, validation = decay(STEPS, scale, floor, start), decay(EVAL_STEPS, scale, floor, start)
    elif kind == "overfitting":
        best, rise = chance.uniform(30, 70), chance.uniform(0.003, 0.01)
        train = decay(STEPS, 40, 0.05, start)
        validation = [
            floor + start * math.exp(-min(step, best) / 20) + rise * max(step - best, 0) for step in EVAL_STEPS
        ]
    elif kind == "diverging":
        turn = chance.randint(40, 90)
        train = [
            loss if step < turn else loss * math.exp((step - turn) / chance.uniform(15, 25))
            for step, loss in zip(STEPS, decay(STEPS, 20, floor, start), strict=True)
        ]
        validation = []
    else:
        noise, train, validation = chance.uniform(0.5, 0.8), [start] * len(STEPS), []
    return noisy(train, chance, noise), noisy(validation, chance, noise / 20)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["falling", "leveled", "overfitting", "diverging", "noisy"])
def test_thirty_curves_are_read_as_what_they_are(kind: Finding, seed: int) -> None:
    train, validation = curves(kind, seed)
    found = read_curves(STEPS, train, EVAL_STEPS[: len(validation)], validation)
    assert found is not None
    assert found.finding == kind


def test_overfitting_names_the_best_evaluation() -> None:
    validation = [1.0, 0.8, 0.7, 0.72, 0.75, 0.8, 0.9]
    found = read_curves(STEPS, decay(STEPS, 40, 0.05, 2.0), EVAL_STEPS[:7], validation)
    assert found == Reading("overfitting", 30, 4)


@pytest.mark.parametrize(("scale", "finding"), [(80_000.0, "falling"), (5_000.0, "leveled")])
def test_long_curve_is_read_like_a_short_one(scale: float, finding: Finding) -> None:
    chance = random.Random(1)
    steps = list(range(1, 100_001))
    found = read_curves(steps, noisy([0.5 + 2 * math.exp(-step / scale) for step in steps], chance, 0.05), [], [])
    assert found == Reading(finding, 100_000)


def test_one_worse_evaluation_is_no_overfitting() -> None:
    validation = [1.0, 0.8, 0.7, 0.65, 0.66]
    found = read_curves(STEPS, decay(STEPS, 10, 0.5, 2.0), EVAL_STEPS[:5], validation)
    assert found is not None
    assert found.finding != "overfitting"


def test_non_finite_loss_is_diverging() -> None:
    assert read_curves(STEPS, [*[1.0] * 119, math.nan], [], []) == Reading("diverging", 120)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_non_finite_validation_loss_is_diverging(loss: float) -> None:
    validation = [1.0, 0.9, 0.8, 0.7, loss, 0.6, 0.5]
    assert read_curves(STEPS, decay(STEPS, 40, 0.5, 2.0), EVAL_STEPS[:7], validation) == Reading("diverging", 120)


@pytest.mark.parametrize("count", [0, 1, 11])
def test_nothing_is_said_too_early(count: int) -> None:
    assert read_curves(STEPS[:count], [1.0] * count, [], []) is None


def test_constant_loss_has_leveled_off() -> None:
    assert read_curves(STEPS, [0.5] * 120, [], []) == Reading("leveled", 120)
