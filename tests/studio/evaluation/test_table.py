"""Evaluations as tables: of all runs, and the rows of one, for spreadsheets and for programs."""

from __future__ import annotations

import csv
import io
import json

from interfaces.folders import Home
from studio.evaluation.table import comparison, rows_as_csv, rows_as_jsonl, rows_by_difference
from tests.support.evaluations import answers, losses, question, recorded_evaluation
from tests.support.records import recorded_run

QUESTIONS = [question(1, "=cmd()", "yes"), question(2, "Q2", "a, b\nc")]
LINES = [*answers(1, "no", "yes"), *answers(2, "-1", "a, b\nc"), *losses(1, 2.0, 1.0, 2)]


def test_finished_evaluations_of_all_runs_are_side_by_side(home: Home) -> None:
    assert comparison(home).empty
    runs = [recorded_run(home), recorded_run(home)]
    for run in runs:
        recorded_evaluation(run, QUESTIONS, LINES)
    recorded_evaluation(runs[0], QUESTIONS, LINES, finished=False)
    recorded_evaluation(runs[1], QUESTIONS, [answers(1, "", "no")[1]], base=False, step=4)
    table = comparison(home)
    assert sorted(table["run"]) == sorted([runs[0].id, runs[1].id, runs[1].id])
    whole = table[table["checkpoint"] == ""].iloc[0]
    assert (whole["exact_match"], whole["exact_match_base"], whole["exact_match_difference"]) == (1.0, 0.0, 1.0)
    assert (whole["loss"], whole["exact_match_verdict"], whole["data"]) == (0.5, "too_few", "tests.jsonl")
    assert table[table["checkpoint"] == 4].iloc[0]["exact_match"] == 0.0


def test_rows_are_for_programs_and_for_spreadsheets(home: Home) -> None:
    folder = recorded_evaluation(recorded_run(home), QUESTIONS, LINES)
    first, second = map(json.loads, rows_as_jsonl(folder))
    assert (first["prompt"], first["reference"], first["tuned"]["answer"]) == ("=cmd()", "yes", "yes")
    assert (first["tuned"]["exact_match"], first["tuned"]["loss"], second["base"]["exact_match"]) == (1.0, 0.5, 0.0)
    table = list(csv.DictReader(io.StringIO(rows_as_csv(folder))))
    assert table[0]["prompt"] == "'=cmd()", "no spreadsheet takes it for a formula"
    assert (table[1]["reference"], table[1]["base_answer"]) == ("a, b\nc", "'-1")
    assert float(table[0]["tuned_exact_match"]) == 1.0


def test_the_largest_differences_come_first(home: Home) -> None:
    questions = [question(number, "Q", "yes") for number in range(1, 4)]
    lines = [*answers(1, "yes", "yes"), *answers(2, "yes", "no"), answers(3, "", "no")[1]]
    folder = recorded_evaluation(recorded_run(home), questions, lines)
    assert [record["number"] for record in rows_by_difference(folder, "exact_match")] == [2, 1, 3]
    assert [record["number"] for record in rows_by_difference(folder, "")] == [1, 2, 3]
