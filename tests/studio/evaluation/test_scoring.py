"""From answers and losses to the table: by hand, for rows that are missing, and again after a change."""

from __future__ import annotations

import math

import pytest

from interfaces.evaluations import EvaluationLine, EvaluationQuestion
from interfaces.example import Example
from interfaces.folders import Home
from studio.evaluation.scoring import answered, result_of
from tests.support.evaluations import answers, losses, question, recorded_evaluation
from tests.support.records import recorded_run

QUESTIONS = [question(number, f"Q{number}", "yes") for number in range(1, 9)]
PROBE = [question(9, "Capital?", "Paris", set="probe", kind="knowledge", accept=["(?i)paris"])]


def test_the_table_is_that_of_the_rows(home: Home) -> None:
    lines = [line for one in QUESTIONS for line in answers(one.number, "no", "Yes." if one.number < 8 else "no")]
    lines += [line for one in QUESTIONS for line in losses(one.number, 4.0, 1.0, one.number)]
    lines += answers(9, "Paris it is", "I don't know")
    folder = recorded_evaluation(recorded_run(home), [*QUESTIONS, *PROBE], lines, probe=True)
    result = result_of(folder)
    assert result is not None
    assert (result.data_rows, result.probe_rows, result.metrics[0]) == (8, 1, "exact_match")
    exact = result.metric("exact_match")
    assert exact is not None
    assert (exact.rows, exact.base, exact.tuned) == (8, 0, 7 / 8)
    assert exact.difference is not None
    assert (exact.difference.verdict, exact.difference.p) == ("better", pytest.approx(2 / 2**7))
    loss, perplexity = result.metric("loss"), result.metric("perplexity")
    assert loss is not None
    assert perplexity is not None
    assert (loss.base, loss.tuned) == (pytest.approx(32 / 36), pytest.approx(8 / 36)), "over tokens, not over rows"
    assert perplexity.tuned == pytest.approx(math.exp(8 / 36))
    assert loss.difference is not None
    assert loss.difference.verdict == "too_few"
    general, knowledge = result.metric("general"), result.metric("general.knowledge")
    assert general is not None
    assert knowledge is not None
    assert (general.base, general.tuned, knowledge.tuned) == (1, 0, 0)
    assert result.rows[0].tuned["loss"] == pytest.approx(1.0)


def test_what_a_gate_names_is_computed(home: Home) -> None:
    long = [question(1, "Q", "A sentence that is too long to be expected word for word.")]
    folder = recorded_evaluation(recorded_run(home), long, answers(1, "no", "yes"), gate="exact match >= 0.5")
    result = result_of(folder)
    assert result is not None
    assert result.metrics == ["rouge_l", "chrf", "exact_match"]


def test_rows_of_one_side_only_count_nowhere(home: Home) -> None:
    lines = [*answers(1, "no", "yes"), answers(2, "no", "yes")[0]]
    folder = recorded_evaluation(recorded_run(home), QUESTIONS, lines, finished=False)
    result = result_of(folder)
    assert result is not None
    exact = result.metric("exact_match")
    assert exact is not None
    assert exact.rows == 1
    alone = recorded_evaluation(folder.run, QUESTIONS, [answers(1, "", "yes")[1]], base=False)
    result = result_of(alone)
    assert result is not None
    assert result.table[0].base is None


def test_answers_without_room_are_not_scored(home: Home) -> None:
    lines = [*answers(1, "no", "yes"), EvaluationLine(side="base", number=2, answer="", end="too_long")]
    lines.append(EvaluationLine(side="tuned", number=2, answer="", end="too_long"))
    result = result_of(recorded_evaluation(recorded_run(home), QUESTIONS, lines))
    assert result is not None
    assert result.table[0].rows == 1


def test_the_table_is_kept_until_answers_change_and_other_metrics_are_computed(home: Home) -> None:
    folder = recorded_evaluation(recorded_run(home), QUESTIONS, answers(1, "no", "yes"))
    first = result_of(folder)
    kept = folder.result.stat().st_mtime_ns
    assert result_of(folder) == first
    assert folder.result.stat().st_mtime_ns == kept
    other = result_of(folder, ["chrf"])
    assert other is not None
    assert [line.name for line in other.table] == ["chrf"]
    with folder.answers.open("a") as file:
        file.write('{"side": "base", "num')  # an attempt was killed here
        file.write("".join("\n" + line.model_dump_json() for line in answers(2, "no", "yes")))
    again = result_of(folder)
    assert again is not None
    assert again.table[0].rows == 2
    folder.result.write_text("damaged")
    assert result_of(folder) == again


def test_before_the_first_answer_there_is_no_table(home: Home) -> None:
    folder = recorded_evaluation(recorded_run(home), QUESTIONS, [])
    assert result_of(folder) is None
    assert len(answered(folder)) == 8


def test_odd_line_separators_and_losses_that_are_not_finite(home: Home) -> None:
    odd = [question(1, "a\u2028b\x85c", "yes"), question(2, "Q", "yes")]
    lines = [*losses(1, 4.0, 2.0, 2), EvaluationLine(side="base", number=2, loss=4.0, trained_tokens=2)]
    lines.append(EvaluationLine(side="tuned", number=2, loss=math.nan, trained_tokens=2))
    folder = recorded_evaluation(recorded_run(home), odd, lines)
    assert len(answered(folder)) == 2
    result = result_of(folder)
    assert result is not None
    loss = result.metric("loss")
    assert loss is not None
    assert (loss.rows, loss.tuned) == (1, 1.0), "what isn't a number doesn't count as 0"


def test_a_plain_text_has_a_loss_of_its_own(home: Home) -> None:
    text = EvaluationQuestion(number=1, set="data", row=1, example=Example(text="Only a text.", row=1))
    result = result_of(recorded_evaluation(recorded_run(home), [text], losses(1, 4.0, 2.0, 4)))
    assert result is not None
    assert (result.rows[0].base, result.rows[0].tuned) == ({"loss": 1.0}, {"loss": 0.5})
