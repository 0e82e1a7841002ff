"""Intervals cover what they say, and verdicts are right on pairs that are better, worse, and equal."""

from __future__ import annotations

from collections import Counter

import numpy
import pytest

from studio.evaluation import statistics
from studio.evaluation.statistics import mean_difference, mean_interval, share_difference, share_interval, sign_test


@pytest.fixture
def fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of intervals are computed here; 1,000 resamples change each by less than its third digit."""
    monkeypatch.setattr(statistics, "RESAMPLES", 999)


def test_wilson_is_that_of_its_formula() -> None:
    # (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n) with z = 1.959964, p = 0.8, n = 10
    found = share_interval(8, 10)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert share_interval(0, 0) is None


@pytest.mark.parametrize("rows", [10, 30, 100])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_wilson_covers_what_it_says(rows: int, share: float) -> None:
    """Exactly, over all outcomes. The lowest is 92.98 %, for 10 rows and 0.9: the interval has only 11 values."""
    from scipy.stats import binom

    covered = 0.0
    for right in range(rows + 1):
        interval = share_interval(right, rows)
        assert interval is not None
        covered += binom.pmf(right, rows, share) if interval.low <= share <= interval.high else 0
    assert 0.9295 <= covered <= 0.99


@pytest.mark.parametrize("rows", [30, 100])
@pytest.mark.parametrize("mean", [0.5, 0.9])
@pytest.mark.parametrize("kind", ["scores", "shares"])
def test_bca_covers_what_it_says(rows: int, mean: float, kind: str, fewer_resamples: None) -> None:
    generator, hits, tries = numpy.random.default_rng(1), 0, 700
    for _ in range(tries):
        values = (
            generator.beta(4 * mean, 4 * (1 - mean), rows)
            if kind == "scores"
            else generator.binomial(1, mean, rows).astype(float)
        )
        interval = mean_interval(values.tolist())
        assert interval is not None
        hits += interval.low - 1e-9 <= mean <= interval.high + 1e-9
    assert 0.925 <= hits / tries <= 0.992, "93 to 99 %, and what 700 tries can be off by"


def test_equal_pairs_are_rarely_called_better(fewer_resamples: None) -> None:
    generator, means, shares = numpy.random.default_rng(2), Counter[str](), Counter[str]()
    for _ in range(400):
        rows = int(generator.integers(30, 200))
        base = generator.beta(2, 1, rows)
        means[mean_difference(base.tolist(), (base + generator.normal(0, 0.2, rows)).tolist()).verdict] += 1
        chance = generator.uniform(0.2, 0.95, rows)
        right = [(generator.random(rows) < chance).astype(float).tolist() for _ in range(2)]
        shares[share_difference(*right).verdict] += 1
    assert means["better"] <= 20
    assert shares["better"] <= 20
    assert means["worse"] + shares["worse"] <= 40


def test_better_and_worse_pairs_are_recognized() -> None:
    generator = numpy.random.default_rng(3)
    base = generator.uniform(0.2, 0.6, 60)
    gain = (base + generator.normal(0.15, 0.1, 60)).tolist()
    assert mean_difference(base.tolist(), gain).verdict == "better"
    assert mean_difference(gain, base.tolist()).verdict == "worse"
    assert mean_difference(base.tolist(), gain, less_is_better=True).verdict == "worse"
    assert share_difference([0.0] * 12, [1.0] * 8 + [0.0] * 4).verdict == "better"
    assert share_difference([1.0] * 8 + [0.0] * 4, [0.0] * 12).verdict == "worse"


def test_too_few_rows_are_called_so() -> None:
    assert share_difference([0.0] * 5, [1.0] * 5).verdict == "too_few"
    assert mean_difference([0.0] * 29, [1.0] * 29).verdict == "too_few"
    assert mean_interval([0.5] * 29) is None
    assert share_difference([0.0] * 6, [1.0] * 6).verdict == "better"


def test_mcnemar_is_that_of_its_formula() -> None:
    assert sign_test(8, 1) == pytest.approx(2 * (1 + 9) / 2**9)  # P(at most 1 of 9), twice
    assert sign_test(0, 0) == 1
    gained = share_difference([0.0] * 9 + [1.0] * 3, [1.0] * 8 + [0.0] + [1.0] * 2 + [0.0])
    assert (gained.value, gained.p) == (pytest.approx(7 / 12), pytest.approx(20 / 512))


def test_rows_that_all_say_the_same_have_a_point() -> None:
    interval = mean_interval([0.7] * 40)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.7, 0.7))
    assert mean_difference([0.5] * 40, [0.5] * 40).verdict == "cant_tell"
    assert mean_difference([0.5] * 40, [0.7] * 40).verdict == "better"


def test_weights_make_it_the_ratio_of_two_sums() -> None:
    generator = numpy.random.default_rng(4)
    weights = generator.integers(1, 50, 80).astype(float)
    losses = weights * generator.uniform(1, 3, 80)
    found = mean_interval(losses.tolist(), weights.tolist())
    assert found is not None
    assert found.low < losses.sum() / weights.sum() < found.high
    lower = mean_difference(losses.tolist(), (losses - 0.2 * weights).tolist(), weights.tolist(), less_is_better=True)
    assert lower.value == pytest.approx(-0.2)
    assert lower.verdict == "better"


def test_the_same_rows_give_the_same_interval() -> None:
    values = numpy.random.default_rng(5).uniform(size=50).tolist()
    assert mean_interval(values) == mean_interval(values)
