"""Runs side by side: figures, differing settings, answers, and a table for spreadsheets."""

from __future__ import annotations

import csv
import io
import math

import pytest

from interfaces.errors import FineTuneError
from interfaces.events import Evaluated, Sampled, Stopped
from interfaces.folders import Home
from interfaces.history import RunHistory
from studio.pages.comparison import MOST_POINTS, MOST_RUNS, compare, comparison_as_csv
from studio.runs.names import rename_run
from tests.support.evaluations import answers, question, recorded_evaluation
from tests.support.records import recorded_run, step


def run(home: Home, *, losses: tuple[float, ...] = (), prompt: str = "", **settings: object) -> RunHistory:
    evaluations = [Evaluated(step=at, loss=loss, examples=3, seconds=0.1) for at, loss in enumerate(losses, 1)]
    asked = [Sampled(step=at, prompt=prompt, answer=f"{prompt} at {at}") for at in (0, 3) if prompt]
    events = [*(step(number, 3) for number in range(1, 4)), *evaluations, *asked, Stopped(step=3, resumable=False)]
    return RunHistory(recorded_run(home, *events, **settings))


def test_only_settings_that_differ_are_listed(home: Home) -> None:
    runs = [run(home, learning_rate=rate, lora={"r": 8}, name=str(rate)) for rate in (0.001, 0.002)]
    assert [(one.name, one.values) for one in compare(runs).differences] == [("learning_rate", [0.001, 0.002])]
    assert compare([runs[0], runs[0]]).differences == []
    other = run(home, learning_rate=0.001, lora={"r": 16})
    assert [one.name for one in compare([runs[0], other]).differences] == ["lora.r"]


def test_best_validation_loss_is_given_with_its_step(home: Home) -> None:
    best = compare([run(home, losses=(math.nan, 1.5, 2.0)), run(home, losses=(math.inf,)), run(home)]).runs
    assert [(one.best_validation_loss, one.best_step) for one in best] == [(1.5, 2), (None, None), (None, None)]
    assert [one.run.eval_loss for one in best] == [2.0, None, None]
    assert best[0].tokens > 0


def test_answers_are_those_to_shared_prompts(home: Home) -> None:
    both = [run(home, prompt="Why?"), run(home, prompt="Why?"), run(home, prompt="Who?")]
    (shared,) = compare(both).answers
    assert (shared.prompt, shared.before, shared.after) == ("Why?", "Why? at 0", ["Why? at 3", "Why? at 3", None])
    apart = compare([both[0], both[2]]).answers
    assert [(one.prompt, one.after) for one in apart] == [("Why?", ["Why? at 3", None]), ("Who?", [None, "Who? at 3"])]


def test_long_curves_are_thinned(home: Home) -> None:
    long = RunHistory(recorded_run(home, *(step(number, 5000) for number in range(1, 5001))))
    (one,) = compare([long]).runs
    assert len(one.curves.train.x) <= 2 * MOST_POINTS
    assert (one.curves.train.x[0], one.curves.train.x[-1]) == (1, 5000)


def test_more_than_eight_are_refused(home: Home) -> None:
    with pytest.raises(FineTuneError):
        compare([run(home)] * (MOST_RUNS + 1))


def test_table_for_spreadsheets_holds_figures_and_settings_but_no_formula(home: Home) -> None:
    runs = [run(home, losses=(1.5,), learning_rate=rate) for rate in (0.001, 0.002)]
    rename_run(runs[0].folder, "=1+1")
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(comparison_as_csv(compare(runs))))}
    assert rows[""][0] == "'=1+1"
    assert rows["id"] == [one.folder.id for one in runs]
    assert rows["learning_rate"] == ["0.001", "0.002"]
    assert rows["best_validation_loss"] == ["1.5", "1.5"]


def test_evaluations_are_side_by_side_with_intervals(home: Home) -> None:
    runs = [run(home), run(home), run(home)]
    questions = [question(1, "Capital of France?", "Paris"), question(2, "Of Italy?", "Rome")]
    for one, said in ((runs[0], "Paris"), (runs[0], "Lyon"), (runs[2], "Rome")):
        lines = [*answers(1, "", said), *answers(2, "", "Rome")]
        recorded_evaluation(one.folder, questions, lines, metrics=["exact_match"])
    recorded_evaluation(runs[1].folder, questions, [*answers(1, "", "Paris")], step=3, metrics=["exact_match"])
    comparison = compare(runs)
    (exact,) = (line for line in comparison.evaluations if line.metric == "exact_match")
    newest, none, last = exact.values
    assert (newest and newest.value, none, last and last.value) == (0.5, None, 0.5)
    assert newest is not None
    assert newest.interval is not None
    assert newest.interval.low < 0.5 < newest.interval.high
    assert (exact.label, exact.dataset_name) == ("Exact match", "tests.jsonl")
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(comparison_as_csv(comparison)))}
    assert rows["exact_match (tests.jsonl)"] == ["0.5", "", "0.5"]
    assert float(rows["exact_match (tests.jsonl) low"][0]) < 0.5
