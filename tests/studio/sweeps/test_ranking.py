"""The best values of a sweep, and when their lead is more than noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from interfaces.errors import FineTuneError
from interfaces.events import Evaluated, Event, Finished, Stopped
from interfaces.folders import Home
from interfaces.run_records import RunMeta, SweepPoint
from studio.sweeps.ranking import Ranking, sweep_of
from tests.support.records import recorded_run, step

SWEEP = "20200101-000000-abcd"


def recorded(
    home: Home, number: int, losses: Sequence[float], over: bool = True, stopped: bool = False, **values: float
) -> str:  # fmt: skip
    evaluations = [Evaluated(step=at, loss=loss, examples=3, seconds=0.1) for at, loss in enumerate(losses, 1)]
    end: list[Event] = [Finished(step=2, peak_memory_bytes=1, seconds=1)] if over else []
    end = [Stopped(step=2, resumable=False)] if stopped else end
    folder = recorded_run(home, step(1, 2), step(2, 2), *evaluations, *end)
    RunMeta(sweep=SweepPoint(id=SWEEP, name="facts #1", number=number, runs=8, values=values)).write(folder)
    return folder.id


def ranking(home: Home) -> Ranking:
    return sweep_of(home, SWEEP, {}).ranking


def of_seeds(home: Home, losses: dict[float, Sequence[float]]) -> Ranking:
    number = 0
    for rate, each in losses.items():
        for seed, loss in enumerate(each):
            number += 1
            recorded(home, number, [9.0, loss], learning_rate=rate, seed=seed)
    return ranking(home)


def test_table_has_each_run_with_its_lowest_loss(home: Home) -> None:
    recorded(home, 2, [1.5, 1.2, 1.9], learning_rate=2e-4)
    recorded(home, 1, [math.inf], learning_rate=1e-4)
    sweep = sweep_of(home, SWEEP, {})
    assert (sweep.name, sweep.settings, sweep.wanted, sweep.over) == ("facts #1", ["learning_rate"], 8, True)
    assert [(one.values, one.best_validation_loss, one.best_step) for one in sweep.runs] == [
        ({"learning_rate": 1e-4}, None, None), ({"learning_rate": 2e-4}, 1.2, 2),
    ]  # fmt: skip
    assert [one.values for one in sweep.ranking.candidates] == [{"learning_rate": 2e-4}, {"learning_rate": 1e-4}]


def test_a_lead_over_all_seeds_is_more_than_noise(home: Home) -> None:
    found = of_seeds(home, {1e-4: [1.0, 1.3, 1.6], 2e-4: [0.8, 1.09, 1.41], 3e-4: [2.0, 2.0, 2.0]})
    assert [one.values["learning_rate"] for one in found.candidates] == [2e-4, 1e-4, 3e-4]
    assert found.verdict == "lead"
    assert found.lead == pytest.approx(0.2)
    assert found.interval is not None
    assert 0.15 < found.interval.low < 0.2 < found.interval.high < 0.25


def test_a_lead_that_seeds_disagree_on_is_noise(home: Home) -> None:
    found = of_seeds(home, {1e-4: [1.0, 1.3, 1.6], 2e-4: [1.1, 1.0, 1.5]})
    assert (found.verdict, found.seeds) == ("noise", 3)


def test_without_seeds_nothing_tells_a_lead_from_noise(home: Home) -> None:
    recorded(home, 1, [1.0], learning_rate=1e-4)
    recorded(home, 2, [0.5], learning_rate=2e-4)
    assert (ranking(home).verdict, ranking(home).lead) == ("no_seeds", 0.5)


def test_what_is_missing_is_said(home: Home) -> None:
    with pytest.raises(FineTuneError):
        ranking(home)
    recorded(home, 1, [], learning_rate=1e-4)
    recorded(home, 2, [], learning_rate=2e-4)
    assert ranking(home).verdict == "no_validation"
    recorded(home, 3, [1.0], learning_rate=3e-4)
    assert ranking(home).verdict == "only_one"
    recorded(home, 4, [1.0], over=False, learning_rate=4e-4)
    assert ranking(home).verdict == "unfinished"


def test_stopped_runs_are_not_ranked(home: Home) -> None:
    recorded(home, 1, [1.0], learning_rate=1e-4)
    recorded(home, 2, [0.9], stopped=True, learning_rate=2e-4)
    assert ranking(home).verdict == "not_finished"
    assert [one.mean for one in ranking(home).candidates] == [1.0, None]
