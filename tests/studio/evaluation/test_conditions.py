"""The conditions of a gate: what they may say."""

from __future__ import annotations

import pytest

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from studio.evaluation.conditions import conditions, needs_probe


@pytest.mark.parametrize("gate", ["exact match", "accuracy >= 0.8", "loss = 2", "loss <= two", ">= 1"])
def test_what_is_no_condition_is_named(gate: str) -> None:
    with pytest.raises(FineTuneError) as caught:
        conditions(gate)
    assert caught.value.problems[0].code is Code.GATE_UNREADABLE
    assert "exact_match" in str(caught.value)


def test_forgetting_needs_the_general_questions() -> None:
    assert needs_probe("loss < 2, forgetting <= 1")
    assert not needs_probe("loss < 2")


def test_shares_are_compared_with_numbers_from_0_to_1_or_percentages() -> None:
    half, percent = conditions("exact match >= 0.5, general >= 80 %")
    assert (half.value, percent.value) == (0.5, 0.8)
    assert conditions("forgetting <= 2 points, perplexity < 80")[1].value == 80
    with pytest.raises(FineTuneError, match="from 0 to 1"):
        conditions("exact match >= 80")
    with pytest.raises(FineTuneError):
        conditions("loss < 5 %")
