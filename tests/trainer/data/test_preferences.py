import json
from typing import Any

import pytest

from interfaces.example import Example
from interfaces.problems import Code, Problem
from trainer.data.formats import detect_shape, example_of
from trainer.data.rows import Row

HH = "\n\nHuman: Where is the key?\n\nAssistant: {}"


def made(values: dict[str, Any]) -> Example | Problem:
    example, problems = example_of(Row(3, 7, values), detect_shape([values], "a.jsonl"), "a.jsonl")
    return example if example is not None else problems[0]


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


ASKED, GOOD, BAD = said("user", "q"), said("assistant", "a"), said("assistant", "b")


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {"instruction": "q", "chosen": "a", "rejected": "b"},
        {"question": "q", "chosen": {"role": "assistant", "content": "a"}, "rejected": BAD},
        {"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": [ASKED], "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
        {"prompt": "q", "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
        {"chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
        {"chosen_messages": [ASKED, GOOD], "rejected_messages": [ASKED, BAD]},
        {"messages": [ASKED], "chosen": GOOD, "rejected": BAD},
        {
            "conversations": [{"from": "human", "value": "q"}],
            "chosen": {"from": "gpt", "value": "a"},
            "rejected": {"from": "gpt", "value": "b"},
        },
        {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"},
        {"prompt": "q", "messages": [ASKED, GOOD], "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
        {"prompt": "q", "chosen": [ASKED, GOOD], "rejected": "b"},
        {"prompt": "q\n", "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
        {"prompt": "\n\nHuman: q\n\nAssistant:", "chosen": " a", "rejected": " b\n"},
        {"prompt": "q", "chosen": json.dumps([ASKED, GOOD]), "rejected": json.dumps([ASKED, BAD])},
    ],
)
def test_each_way_to_write_a_pair_gives_the_same_two_conversations(values: dict[str, Any]) -> None:
    example = made(values)
    assert isinstance(example, Example), example
    found = [
        [(turn.role, turn.content, turn.train) for turn in one.messages] for one in (example, example.rejected_side())
    ]
    assert found == [
        [("user", "q", False), ("assistant", "a", True)],
        [("user", "q", False), ("assistant", "b", True)],
    ]


def test_only_what_differs_is_trained_on() -> None:
    before = [said("user", "hi"), said("assistant", "hello"), ASKED]
    example = made(
        {"chosen": [*before, GOOD, said("user", "more"), said("assistant", "c")], "rejected": [*before, BAD]}
    )
    assert isinstance(example, Example)
    assert [turn.train for turn in example.messages] == [False, False, False, True, False, True]
    assert [turn.content for turn in example.rejected] == ["b"]


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"prompt": "q", "chosen": "a", "rejected": "a"}, Code.ROW_SIDES_EQUAL, "rejected"),
        ({"prompt": "q", "chosen": "a ", "rejected": " a"}, Code.ROW_SIDES_EQUAL, "rejected"),
        ({"chosen": [ASKED, GOOD], "rejected": [ASKED, GOOD]}, Code.ROW_SIDES_EQUAL, "chosen"),
        ({"chosen": [ASKED, GOOD], "rejected": [said("user", "p"), BAD]}, Code.ROW_PROMPTS_DIFFER, "chosen"),
        ({"chosen": HH.format("a"), "rejected": HH.replace("key", "cat").format("b")}, Code.ROW_PROMPTS_DIFFER, "chosen"),
        ({"prompt": "q", "chosen": [said("user", "p"), GOOD], "rejected": "b"}, Code.ROW_PROMPTS_DIFFER, "chosen"),
        ({"prompt": "q", "chosen": "a", "rejected": ""}, Code.ROW_FIELD_EMPTY, "rejected"),
        ({"prompt": "q", "chosen": "a", "rejected": None}, Code.ROW_FIELD_TYPE, "rejected"),
        ({"prompt": "q", "chosen": "", "rejected": "b"}, Code.ROW_FIELD_EMPTY, "chosen"),
        ({"prompt": "q", "chosen": "a", "rejected": []}, Code.ROW_FIELD_EMPTY, "rejected"),
        ({"chosen": [ASKED, GOOD], "rejected": [ASKED]}, Code.ROW_FIELD_EMPTY, "rejected"),
        ({"prompt": "q", "rejected": "b", "chosen": 5}, Code.ROW_FIELD_TYPE, "chosen"),
        ({"chosen": "a", "rejected": "b"}, Code.ROW_NO_QUESTION, "chosen"),
    ],
)  # fmt: skip
def test_a_bad_pair_is_named_by_its_field(values: dict[str, Any], code: Code, field: str) -> None:
    problem = made(values)
    assert isinstance(problem, Problem)
    assert (problem.code, problem.params["field"], problem.params["line"]) == (code, field, 7)


def test_a_side_that_ends_open_is_a_warning_with_its_field() -> None:
    values = {"prompt": "q", "chosen": "a", "rejected": "Look:\n```python\nprint(1)"}
    _, problems = example_of(Row(1, 1, values), detect_shape([values]), "a.jsonl")
    assert [(problem.code, problem.params["field"]) for problem in problems] == [(Code.ROW_ANSWER_CUT, "rejected")]


@pytest.mark.parametrize(
    ("mark", "label"),
    [
        ({"label": True}, True),
        ({"label": False}, False),
        ({"label": "False"}, False),
        ({"kto_tag": False}, False),
        ({"kto_tag": 1}, True),
        ({"label": 0}, None),
        ({"label": "sports"}, None),
        ({}, None),
    ],
)
def test_a_label_says_whether_an_answer_is_desired(mark: dict[str, object], label: bool | None) -> None:
    example = made({"prompt": "q", "completion": "a", **mark})
    assert isinstance(example, Example)
    assert example.label is label
    assert Example.model_validate(example.to_record()) == example


def test_the_system_turn_of_the_answers_stays_where_the_prompt_has_none() -> None:
    system = said("system", "Be brief.")
    example = made({"prompt": "q", "chosen": [system, ASKED, GOOD], "rejected": [system, ASKED, BAD]})
    assert isinstance(example, Example), example
    assert [turn.role for turn in example.prompt] == ["system", "user"]


def test_alpacas_input_and_history_belong_to_the_prompt_of_a_pair() -> None:
    example = made({"instruction": "Do", "input": "data", "history": [["x", "y"]], "chosen": "a", "rejected": "b"})
    assert isinstance(example, Example), example
    assert [(turn.content, turn.train) for turn in example.prompt] == [("x", False), ("y", False), ("Do\ndata", False)]


def test_a_label_judges_the_last_answer_alone() -> None:
    turns = [ASKED, GOOD, said("user", "and?"), BAD]
    example = made({"messages": turns, "label": False})
    assert isinstance(example, Example), example
    assert [turn.train for turn in example.messages] == [False, False, False, True]
