from typing import Any

import pytest

from interfaces.errors import FineTuneError
from interfaces.example import Example
from interfaces.problems import Code, Problem
from trainer.data.formats import chosen_shape, detect_shape, example_of
from trainer.data.rows import Row


def made(values: dict[str, Any]) -> Example | Problem:
    example, problems = example_of(Row(3, 7, values), detect_shape([values], "a.jsonl"), "a.jsonl")
    return example if example is not None else problems[0]


def turns(values: dict[str, Any]) -> list[tuple[str, str, bool]]:
    example = made(values)
    assert isinstance(example, Example), example
    return [(message.role, message.content, message.train) for message in example.messages]


CONVERSATION = [("user", "q", False), ("assistant", "a", True)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("alpaca", {"instruction": "q", "output": "a"}),
        ("alpaca", {"instruction": "q", "input": "", "output": "a", "system": None}),
        ("prompt_completion", {"prompt": "q", "completion": " a"}),
        ("sharegpt", {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}),
        ("messages", {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "id": 4}),
        ("messages", {"conversations": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}),
        ("messages", {"messages": '[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]'}),
        ("question_answer", {"Question": "q", "Answer": "a"}),
        ("question_answer", {"query": "q", "response": "a"}),
        ("input_output", {"input": "q", "output": "a"}),
        ("prompt_completion", {"prompt": "Human: q\nAssistant:", "completion": " a"}),
        ("prompt_completion", {"prompt": "User: q\n\nAssistant:", "completion": "a"}),
        ("transcript", {"text": "Human: q\n\nAssistant: a"}),
        (
            "preference",
            {
                "chosen_messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
                "rejected_messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}],
            },
        ),
        ("messages", {"conversation": [{"Human": "q", "Assistant": "a"}]}),
        ("messages", {"conversation": [{"input": "q", "output": "a"}]}),
        ("preference", {"prompt": "q", "chosen": "a", "rejected": "b"}),
        (
            "preference",
            {
                "conversations": [{"from": "human", "value": "q"}],
                "chosen": {"from": "gpt", "value": "a"},
                "rejected": {"from": "gpt", "value": "b"},
            },
        ),
        (
            "preference",
            {
                "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
                "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}],
            },
        ),
        (
            "preference",
            {
                "prompt": [{"role": "user", "content": "q"}],
                "chosen": [{"role": "assistant", "content": "a"}],
                "rejected": [{"role": "assistant", "content": "b"}],
            },
        ),
    ],
)
def test_each_shape_is_detected_and_read(name: str, values: dict[str, Any]) -> None:
    assert detect_shape([values]).name == name
    assert turns(values) == CONVERSATION


def test_alpacas_input_belongs_to_the_question_and_its_system_comes_first() -> None:
    assert turns({"instruction": "Add", "input": "1 2", "output": "3", "system": "Be brief."}) == [
        ("system", "Be brief.", False), ("user", "Add\n1 2", False), ("assistant", "3", True),
    ]  # fmt: skip


def test_exactly_the_assistant_turns_are_trained() -> None:
    roles = ["system", "user", "assistant", "user", "assistant"]
    found = turns({"messages": [{"role": role, "content": str(number)} for number, role in enumerate(roles)]})
    assert [train for _, _, train in found] == [False, False, True, False, True]


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"instruction": "q", "output": ""}, Code.ROW_FIELD_EMPTY, "output"),
        ({"instruction": 5, "output": "a"}, Code.ROW_FIELD_TYPE, "instruction"),
        ({"instruction": None, "output": "a"}, Code.ROW_FIELD_TYPE, "instruction"),
        ({"instruction": "q", "input": ["x"], "output": "a"}, Code.ROW_FIELD_TYPE, "input"),
        ({"messages": "hello"}, Code.ROW_FIELD_TYPE, "messages"),
        ({"messages": []}, Code.ROW_FIELD_EMPTY, "messages"),
        ({"messages": ["hello"]}, Code.ROW_FIELD_TYPE, "messages[0]"),
        ({"messages": [{"role": "user"}]}, Code.ROW_FIELD_MISSING, "messages[0].content"),
        ({"messages": [{"role": "poet", "content": "x"}]}, Code.ROW_ROLE_UNKNOWN, "messages[0].role"),
        ({"messages": [{"role": "user", "content": "x"}]}, Code.ROW_NO_ANSWER, None),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_by_line_and_field(values: dict[str, Any], code: Code, field: str | None) -> None:
    problem = made(values)
    assert isinstance(problem, Problem)
    assert (problem.code, problem.params.get("field")) == (code, field)
    assert (problem.params["path"], problem.params["row"], problem.params["line"]) == ("a.jsonl", 3, 7)


def test_an_unknown_shape_names_its_columns_and_the_shapes_known() -> None:
    with pytest.raises(FineTuneError) as raised:
        detect_shape([{"foo": 1, "bar": 2}], "a.csv")
    params = raised.value.problems[0].params
    assert params["columns"] == ["foo", "bar"]
    assert "instruction + output" in params["known"]


def test_half_a_character_is_a_bad_row_not_a_crash_later() -> None:
    problem = made({"instruction": "\ud800 x", "output": "b"})
    assert isinstance(problem, Problem)
    assert problem.params["field"] == "instruction"


def test_alpaca_history_becomes_trained_turns() -> None:
    assert turns({"instruction": "q2", "output": "a2", "history": [["q1", "a1"]]}) == [
        ("user", "q1", False), ("assistant", "a1", True), ("user", "q2", False), ("assistant", "a2", True),
    ]  # fmt: skip


def test_plain_text_is_a_shape_of_its_own() -> None:
    example = made({"text": "Once upon a time", "meta": 5})
    assert isinstance(example, Example)
    assert (example.text, example.messages) == ("Once upon a time", ())


def test_a_column_that_only_later_rows_have_is_used() -> None:
    shape = detect_shape([{"prompt": "q", "completion": "a"}, {"prompt": "q", "completion": "a", "system": "s"}])
    assert shape.columns["system"] == "system"


def test_tools_come_with_the_conversation() -> None:
    example = made({
        "conversations": [
            {"from": "human", "value": "q"}, {"from": "function_call", "value": '{"name": "f", "arguments": {}}'},
            {"from": "observation", "value": "1"}, {"from": "gpt", "value": "one"},
        ],
        "tools": '[{"name": "f", "parameters": {}}]',
    })  # fmt: skip
    assert isinstance(example, Example)
    assert example.tools[0]["function"]["name"] == "f"
    assert [message.train for message in example.messages] == [False, True, False, True]


def test_a_chosen_use_of_columns_is_checked() -> None:
    shape = chosen_shape({"prompt": "a", "completion": "b"}, ["a", "b"], "x.csv")
    assert example_of(Row(1, 1, {"a": "q", "b": "a"}), shape, "x.csv")[0] is not None
    for columns, code in (
        ({"poem": "a"}, Code.COLUMN_ROLE_UNKNOWN), ({"prompt": "c", "completion": "b"}, Code.COLUMN_MISSING), ({"prompt": "a"}, Code.COLUMNS_INCOMPLETE),
        ({"prompt": "a", "completion": "a"}, Code.COLUMNS_INCOMPLETE),
    ):  # fmt: skip
        with pytest.raises(FineTuneError) as raised:
            chosen_shape(columns, ["a", "b"], "x.csv")
        assert raised.value.problems[0].code == code


def test_a_prompt_and_a_completion_of_turns_are_one_conversation() -> None:
    prompt = [
        {"role": "user", "content": "q1"},
        {"role": "assistant", "content": "a1"},
        {"role": "user", "content": "q2"},
    ]
    assert turns({"prompt": prompt, "completion": [{"role": "assistant", "content": "a2"}]}) == [
        ("user", "q1", False), ("assistant", "a1", False), ("user", "q2", False), ("assistant", "a2", True),
    ]  # fmt: skip


HH = "\n\nHuman: Where is the key?\n\nAssistant: Under the mat.\n\nHuman: Thanks!\n\nAssistant: Any time."


def test_a_transcript_becomes_its_turns() -> None:
    assert turns({"chosen": HH, "rejected": "\n\nHuman: Where is the key?\n\nAssistant: No idea."}) == [
        ("user", "Where is the key?", False), ("assistant", "Under the mat.", True),
        ("user", "Thanks!", False), ("assistant", "Any time.", True),
    ]  # fmt: skip
    asked = HH.removesuffix(" Any time.")
    assert turns({"prompt": asked, "completion": " Any time."})[-2:] == [
        ("user", "Thanks!", False), ("assistant", "Any time.", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"prompt": "q", "completion": "a", "images": ["a.png"]}, Code.ROW_HAS_MEDIA),
        ({"prompt": "q", "completion": "a", "image": {"bytes": None, "path": "a.png"}}, Code.ROW_HAS_MEDIA),
        ({"prompt": "q", "completion": "a", "image_url": "https://example.org/a.JPG?x=1"}, Code.ROW_HAS_MEDIA),
        ({"prompt": "q", "completion": "a", "audio": "['a.wav']"}, Code.ROW_HAS_MEDIA),
        ({"messages": [{"role": "user", "content": "q", "images": ["a.png"]}, {"role": "assistant", "content": "a"}]}, Code.ROW_HAS_MEDIA),
        ({"prompt": "<image>What is it?", "completion": "a"}, Code.ROW_HAS_MEDIA),
        ({"prompt": "What is it?\n<audio>", "completion": "a"}, Code.ROW_HAS_MEDIA),
        ({"messages": [{"role": "assistant", "content": "a"}]}, Code.ROW_NO_QUESTION),
        ({"messages": [{"role": "system", "content": "s"}, {"role": "assistant", "content": "a"}]}, Code.ROW_NO_QUESTION),
        ({"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "q"}]}, Code.ROW_NO_QUESTION),
    ],
)  # fmt: skip
def test_media_and_missing_questions_are_errors(values: dict[str, Any], code: Code) -> None:
    problem = made(values)
    assert isinstance(problem, Problem)
    assert problem.code == code


@pytest.mark.parametrize(
    "more",
    [
        {"label": True},
        {"label": 0},
        {"images": []},
        {"images": None},
        {"images": [None]},
        {"image": "a lamp"},
        {"input": []},
        {"input": {}},
    ],
)
def test_harmless_labels_and_empty_media_are_no_error(more: dict[str, Any]) -> None:
    assert turns({"instruction": "q", "output": "a", **more}) == CONVERSATION


def test_a_tag_that_is_talked_about_is_no_picture() -> None:
    assert turns({"prompt": "How is an `<image>` tag written?", "completion": "As <image href='x'>."})[0][0] == "user"


def test_an_answer_to_a_transcript_has_no_label() -> None:
    assert turns({"prompt": "Human: hi", "completion": "Assistant: hello"}) == [
        ("user", "hi", False), ("assistant", "hello", True),
    ]  # fmt: skip


def test_one_message_a_row_is_refused_with_what_to_do() -> None:
    for row in ({"role": "user", "content": "q"}, {"from": "gpt", "value": "a"}, {"role": "user", "text": "q"}):
        with pytest.raises(FineTuneError, match="Put all messages of a conversation into one row"):
            detect_shape([row], "a.jsonl")
    assert detect_shape([{"role": "lawyer", "text": "words"}], "a.jsonl").name == "text"


TOOLS = [{"name": "add", "parameters": {}}]


def test_tools_that_the_system_turn_lists_are_not_listed_again() -> None:
    turns = [
        {"from": "system", "value": "Call one of <tools>[]</tools>"},
        {"from": "human", "value": "q"},
        {"from": "gpt", "value": "a"},
    ]
    shape = detect_shape([{"conversations": turns, "tools": TOOLS}])
    example, _ = example_of(Row(1, 1, {"conversations": turns, "tools": TOOLS}), shape, "a.jsonl")
    assert example is not None
    assert example.tools == ()
    turns[0]["value"] = "Be kind."
    example, _ = example_of(Row(1, 1, {"conversations": turns, "tools": TOOLS}), shape, "a.jsonl")
    assert example is not None
    assert len(example.tools) == 1


def test_a_plain_text_may_be_a_whole_document() -> None:
    long = "word " * 300_000
    shape = detect_shape([{"text": long}])
    assert example_of(Row(1, 1, {"text": long}), shape, "a.txt")[1] == []
    pair = detect_shape([{"prompt": "q", "completion": long}])
    assert [one.code for one in example_of(Row(1, 1, {"prompt": "q", "completion": long}), pair, "a.csv")[1]] == [
        Code.ROW_CELL_LARGE
    ]


@pytest.mark.parametrize(
    ("completion", "learned"),
    [
        ("    y = x\n    return y\n", "    y = x\n    return y"),
        ("\n- a", "\n- a"),
        (" Paris", "Paris"),
        ("Paris \n", "Paris"),
    ],
)
def test_leading_blanks_are_kept_except_in_openai_files(completion: str, learned: str) -> None:
    row = {"prompt": "q", "completion": completion}
    example, _ = example_of(Row(1, 1, row), detect_shape([row]), "a.jsonl")
    assert example is not None
    assert example.messages[-1].content == learned


def test_both_system_texts_of_a_row_are_kept() -> None:
    turns = [{"from": "system", "value": "Be kind."}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    for system, said in (("Reply in French", "Reply in French\n\nBe kind."), ("Be kind.", "Be kind.")):
        row = {"system": system, "conversations": turns}
        example, _ = example_of(Row(1, 1, row), detect_shape([row]), "a.jsonl")
        assert example is not None
        assert (example.messages[0].content, len(example.messages)) == (said, 3)


def test_an_instruction_that_begins_as_a_transcript_keeps_its_input() -> None:
    row = {"instruction": "Human: what is meant by this word?", "input": "extra context", "output": "A person."}
    example, _ = example_of(Row(1, 1, row), detect_shape([row]), "a.jsonl")
    assert example is not None
    assert example.messages[0].content == "Human: what is meant by this word?\nextra context"


@pytest.mark.parametrize("text", ["How do I use the <video> tag?", "<image>\n  <rect/>\n</image>"])
def test_a_tag_in_the_midst_of_a_text_is_no_error(text: str) -> None:
    assert isinstance(made({"prompt": text, "completion": "a"}), Example)


@pytest.mark.parametrize(
    "row",
    [
        {"sender": "user", "text": "Hi"},
        {"author": "assistant", "content": "Hi"},
        {"type": "user", "text": "Hi"},
        {"speaker": "Customer", "text": "Hi"},
    ],
)
def test_one_message_a_row_is_refused_however_its_speaker_is_named(row: dict[str, Any]) -> None:
    with pytest.raises(FineTuneError) as raised:
        detect_shape([row], "a.jsonl")
    assert raised.value.problems[0].code is Code.FORMAT_ONE_TURN


def test_lines_with_an_author_of_their_own_are_plain_text() -> None:
    assert detect_shape([{"author": "Jane Austen", "text": "It is a truth"}], "a.jsonl").name == "text"
