"""Requests are seen in whole runs (test_run.py) and in processes of their own (tests/faults)."""

import math

import pytest

pytestmark = pytest.mark.tiny


@pytest.mark.parametrize(
    ("losses", "best", "exhausted"),
    [
        ({}, None, False),
        ({5: 2.0, 10: 1.0}, 10, False),
        ({5: 1.0, 10: 1.0}, 5, False),
        ({5: 1.0, 10: 2.0, 15: 1.5}, 5, True),
        ({5: 1.0, 10: math.nan, 15: math.inf}, 5, True),
        ({5: math.nan}, None, False),
        ({5: math.nan, 10: math.nan}, None, True),
    ],
)
def test_the_best_measurement_is_the_first_lowest_finite_one(
    losses: dict[int, float], best: int | None, exhausted: bool
) -> None:
    from trainer.training.stopper import EvalHistory

    eval_history = EvalHistory(losses)
    assert eval_history.best_step == best
    assert eval_history.is_exhausted(2) is exhausted
    assert not eval_history.is_exhausted(0)


def test_random_states_are_restored() -> None:
    import random

    import numpy
    import torch

    from trainer.training.stopper import RngState

    def draw() -> tuple[float, float, float]:
        return random.random(), float(numpy.random.rand()), float(torch.rand(1))

    kept = RngState()
    first = draw()
    assert draw() != first
    kept.restore()
    assert draw() == first
