"""Each metric against values computed by hand, and what is proposed for references of a kind."""

from __future__ import annotations

import pytest

from interfaces.evaluations import EvaluationSpec, Metric
from interfaces.example import Message, ToolCall
from studio.evaluation.metrics import accepts, matches, normalized, proposed, score
from tests.support.evaluations import question

SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


def scored(metric: Metric, answer: str, reference: str = "", **spec: object) -> float:
    return score(metric, answer, Message(role="assistant", content=reference), EvaluationSpec.model_validate(spec))


@pytest.mark.parametrize(
    ("metric", "answer", "reference", "expected"),
    [
        ("exact_match", "  The  Cat. ", "the cat", 1),
        ("exact_match", "北京。", "北京", 1),
        ("exact_match", "Ｐａｒｉｓ", "paris", 1),
        ("exact_match", "the cats", "the cat", 0),
        ("exact_match", "!!!", "?", 0),
        ("number_match", "First 3, so the result is 1,250.50", "1250.5", 1),
        ("number_match", "答案是42", "42", 1),
        ("number_match", "It is 12 or 13", "12", 0),
        ("number_match", "none", "12", 0),
        ("number_match", "-4", "4", 0),
        ("json_valid", '```json\n{"a": [1]}\n```', "", 1),
        ("json_valid", "null", "", 1),
        ("json_valid", '{"a": 1', "", 0),
    ],
)
def test_shares_are_right_or_wrong(metric: Metric, answer: str, reference: str, expected: float) -> None:
    assert scored(metric, answer, reference) == expected


def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence() -> None:
    # "the cat sat" and "the big cat": "the cat" has 2 words, so precision and recall are 2/3.
    assert scored("rouge_l", "The cat sat", "the big cat") == pytest.approx(2 / 3)
    # 4 characters of 5 in order against a reference of 4: precision 4/5, recall 1, F = 8/9.
    assert scored("rouge_l", "我在北京住", "我在北京") == pytest.approx(8 / 9)
    assert scored("rouge_l", "", "x") == 0


def test_chrf_is_that_of_its_formula() -> None:
    # One character of two agrees, of n-grams only n = 1 and 2 exist: precision and recall are 1/2 and 0 for "ab", "ac".
    assert scored("chrf", "ab", "ac") == pytest.approx(0.25, abs=1e-6)
    assert scored("chrf", "好", "好") == 1
    assert scored("chrf", "x", "y") == 0


def test_schema_and_pattern_are_those_of_the_evaluation() -> None:
    assert scored("json_schema", '{"name": "Li"}', json_schema=SCHEMA) == 1
    assert scored("json_schema", '{"name": 3}', json_schema=SCHEMA) == 0
    assert scored("json_schema", "no JSON", json_schema=SCHEMA) == 0
    assert scored("json_schema", "{}", json_schema={"$ref": "https://example.invalid/s.json"}) == 0
    assert scored("pattern_match", "order A-12 is sent", pattern=r"[A-Z]-\d+") == 1
    assert scored("pattern_match", "nothing", pattern=r"[A-Z]-\d+") == 0


@pytest.mark.timeout(20)
def test_a_pattern_that_never_ends_matches_nothing() -> None:
    assert not matches(r"(a|aa)+$", "a" * 60 + "!")


def test_a_tool_call_needs_the_same_function_and_arguments() -> None:
    wanted = Message(
        role="assistant", content="", tool_calls=(ToolCall(name="weather", arguments={"city": "Rome", "days": 2}),)
    )

    def called(answer: str) -> float:
        return score("tool_call", answer, wanted, EvaluationSpec())

    assert called('<tool_call>\n{"name": "weather", "arguments": {"days": 2, "city": "Rome"}}\n</tool_call>') == 1
    assert called('[{"function": {"name": "weather", "arguments": "{\\"city\\": \\"Rome\\", \\"days\\": 2}"}}]') == 1
    assert called('{"name": "weather", "arguments": {"city": "Rome", "days": "2"}}') == 0
    assert called('{"name": "news", "arguments": {"city": "Rome", "days": 2}}') == 0
    assert called('{"name": "weather", "arguments": "not JSON"}') == 0
    assert called("It is sunny in {Rome}") == 0


def test_a_general_question_accepts_any_of_its_expressions() -> None:
    one = question(1, "Capital?", "Paris", accept=[r"(?i)\bparis\b", "巴黎"])
    assert [accepts(one, answer) for answer in ("It is PARIS.", "巴黎", "Parisian")] == [1, 1, 0]


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        (["yes", "no"] * 5, ["exact_match", "rouge_l", "chrf"]),
        (["12", "1,000", "-3.5"], ["number_match"]),
        (['{"a": 1}', "[2]"], ["json_valid", "exact_match", "rouge_l", "chrf"]),
        (["A long sentence that nobody would repeat word for word."] * 3, ["rouge_l", "chrf"]),
        ([], []),
    ],
)
def test_metrics_are_proposed_by_what_references_look_like(references: list[str], expected: list[str]) -> None:
    questions = [question(number, "Q", reference) for number, reference in enumerate(references, 1)]
    assert proposed(questions, EvaluationSpec()) == expected


def test_calls_and_a_given_schema_decide_what_is_proposed() -> None:
    calls = [question(1, "Q", "", [ToolCall(name="f")])]
    assert proposed(calls, EvaluationSpec()) == ["tool_call"]
    with_schema = EvaluationSpec(json_schema=SCHEMA, pattern="x")
    assert proposed([question(1, "Q", "{}")], with_schema)[:4] == ["json_valid", "exact_match", "json_schema", "pattern_match"]  # fmt: skip


def test_normalized_texts_keep_what_is_only_punctuation() -> None:
    assert normalized(" ?! ") == "?!"
