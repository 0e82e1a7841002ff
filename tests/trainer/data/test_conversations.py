import json
from typing import Any

import pytest

from interfaces.example import Message, ToolCall
from interfaces.problems import Code
from trainer.data.cells import Cells, RowError
from trainer.data.conversations import check_order, messages_of, tools_of


def read(turns: Any) -> list[Message]:
    return messages_of(turns, "messages", Cells())


def refused(turns: Any) -> tuple[Code, str]:
    with pytest.raises(RowError) as raised:
        read(turns)
    return raised.value.code, str(raised.value.params.get("field"))


USER = {"role": "user", "content": "q"}
CALL = ToolCall(name="f", arguments={"x": 1})


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}]},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": {"x": 1}}]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "parameters": {"x": 1}}}]},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"x": 1}'}},
        {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
        {"from": "function_call", "value": '[{"name": "f", "arguments": "{\\"x\\": 1}"}]'},
    ],
)  # fmt: skip
def test_every_call_format_is_parsed_and_trained(turn: dict[str, Any]) -> None:
    message = read([USER, turn])[1]
    calls = tuple(call.model_copy(update={"id": None}) for call in message.tool_calls)
    assert (message.role, message.content, calls, message.train) == ("assistant", "", (CALL,), True)


@pytest.mark.parametrize("role", ["tool", "observation", "function", "tool_response", "ipython"])
def test_tool_results_are_context(role: str) -> None:
    message = read([{"from": role, "value": "5", "name": "f"}, {"from": "gpt", "value": "five"}])[0]
    assert (message.role, message.content, message.name, message.train) == ("tool", "5", "f", False)


def test_content_parts_are_joined_and_images_refused() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read([{"role": "user", "content": parts}, {"role": "assistant", "content": "c"}])[0].content == "ab"
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    assert refused(image) == (Code.ROW_HAS_MEDIA, "messages[0].content[0]")


@pytest.mark.parametrize(("weight", "train"), [(0, False), (1, True), (0.0, False), (True, True), (None, True)])
def test_weight_decides_whether_an_answer_is_trained(weight: Any, train: bool) -> None:
    assert read([USER, {"role": "assistant", "content": "a", "weight": weight}])[1].train is train


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_kept_apart(key: str) -> None:
    message = read([USER, {"role": "assistant", "content": "a", key: "because"}])[1]
    assert (message.content, message.reasoning) == ("a", "because")


def test_table_cells_hold_json_or_python_lists() -> None:
    turns = [USER, {"role": "assistant", "content": "it's"}]
    assert read(json.dumps(turns)) == read(str(turns)) == read(turns)


def test_empty_system_turn_is_ignored() -> None:
    assert [message.role for message in read([{"role": "system", "content": ""}, USER])] == ["user"]
    assert read([{"role": "developer", "content": "s"}, USER])[0].role == "system"


@pytest.mark.parametrize(
    ("turns", "code", "field"),
    [
        ([USER, {"from": "function_call", "value": "f(x)"}], Code.ROW_FIELD_TYPE, "messages[1].value"),
        ([USER, {"from": "function_call", "value": "[]"}], Code.ROW_FIELD_EMPTY, "messages[1].value"),
        ([USER, {"role": "assistant", "content": None}], Code.ROW_FIELD_TYPE, "messages[1].content"),
        ([USER, {"role": "assistant", "tool_calls": [{"name": "f", "arguments": "[1]"}]}], Code.ROW_FIELD_TYPE, "messages[1].tool_calls[0].arguments"),
        ([USER, {"role": "assistant", "tool_calls": "f"}], Code.ROW_FIELD_TYPE, "messages[1].tool_calls"),
        ([USER, {"role": "assistant", "content": "a", "weight": "x"}], Code.ROW_FIELD_TYPE, "messages[1].weight"),
        ([{"content": "x"}], Code.ROW_FIELD_MISSING, "messages[0].role"),
        ([5], Code.ROW_FIELD_TYPE, "messages[0]"),
        ("[{", Code.ROW_FIELD_TYPE, "messages"),
        ([{"role": 5, "content": "x"}], Code.ROW_FIELD_TYPE, "messages[0].role"),
    ],
)  # fmt: skip
def test_a_turn_that_cannot_be_used_is_named(turns: Any, code: Code, field: str) -> None:
    assert refused(turns) == (code, field)


def test_tools_are_objects_or_their_json() -> None:
    tool = {"name": "f", "description": "d", "parameters": {}}
    wanted = ({"type": "function", "function": tool},)
    for written in ([tool], json.dumps([tool]), [{"type": "function", "function": tool}]):
        assert tools_of(written, "tools") == wanted
    assert tools_of(None, "tools") == tools_of("", "tools") == tools_of("[]", "tools") == ()
    for wrong in ("{", [5], [{"description": "d"}], 5):
        with pytest.raises(RowError):
            tools_of(wrong, "tools")


@pytest.mark.parametrize(
    ("roles", "doubted"),
    [
        ("system user assistant user assistant", None),
        ("user assistant tool assistant", 2),
        ("user user assistant", 1),
        ("user assistant assistant", 2),
        ("assistant user assistant", 0),
        ("user system assistant", 1),
        ("user assistant user", 2),
    ],
)
def test_unusual_turn_order_gets_a_warning(roles: str, doubted: int | None) -> None:
    cells = Cells()
    check_order([Message(role=role, content="x") for role in roles.split()], "messages", cells)  # type: ignore[arg-type]
    wanted = [] if doubted is None else [f"messages[{doubted}]"]
    assert [params["field"] for _, params in cells.warnings] == wanted


def test_a_call_and_its_results_are_in_order() -> None:
    cells = Cells()
    called = Message(role="assistant", content="", tool_calls=(CALL, CALL))
    result, user, answer = (
        Message(role="tool", content="1"),
        Message(role="user", content="q"),
        Message(role="assistant", content="a"),
    )
    check_order([user, called, result, result, answer, user, called, result, called, result, answer], "messages", cells)
    assert cells.warnings == []


@pytest.mark.parametrize("mark", [{"loss": False}, {"loss_weight": 0.0}, {"train": "false"}, {"weight": 0}])
def test_a_mark_not_to_train_on_a_turn_is_obeyed(mark: dict[str, Any]) -> None:
    answer = {"role": "assistant", "content": "a"}
    messages = read([USER, {**answer, **mark}, USER, {**answer, **dict.fromkeys(mark, 1)}])
    assert [message.train for message in messages] == [False, False, False, True]
    assert refused([USER, {**answer, **dict.fromkeys(mark, 0.5)}])[0] == Code.ROW_FIELD_TYPE


def test_unused_turn_keys_are_named() -> None:
    cells = Cells()
    messages_of(
        [{**USER, "emotion": "calm"}, {"role": "assistant", "content": "a", "loss": 1, "score": 3}], "messages", cells
    )
    assert cells.unused == {"emotion", "score"}


def test_ids_of_calls_and_of_their_results_are_kept() -> None:
    call = {"id": "a1B2c3D4e", "type": "function", "function": {"name": "f", "arguments": {}}}
    _, called, reported = read(
        [
            USER,
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a1B2c3D4e", "content": "4"},
        ]
    )
    assert called.tool_calls[0].id == reported.tool_call_id == "a1B2c3D4e"


def test_content_parts_of_every_kind_are_read_or_refused_by_name() -> None:
    parts = [
        {"type": "reasoning", "value": "think"}, {"type": "text", "value": "an answer"},
        {"type": "tool_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
    ]  # fmt: skip
    answer = read([USER, {"role": "assistant", "content": parts}])[1]
    assert (answer.content, answer.reasoning, answer.tool_calls) == ("an answer", "think", (CALL,))
    with pytest.raises(RowError) as raised:
        read([{"role": "user", "content": [{"type": "text", "words": "x"}]}])
    assert raised.value.params["value"] == {"code": "part_with_keys", "kind": "text", "known": ["type", "words"]}
    for kind in ("image", "image_url", "video", "input_audio"):
        assert refused([{"role": "user", "content": [{"type": kind, "url": "x"}]}])[0] == Code.ROW_HAS_MEDIA


def test_firefly_s_turns_hold_a_question_and_its_answer() -> None:
    messages = read([{"system": "s", "human": "q", "assistant": "a"}, {"user": "r", "gpt": "b"}])
    assert [(message.role, message.content, message.train) for message in messages] == [
        ("system", "s", False), ("user", "q", False), ("assistant", "a", True), ("user", "r", False), ("assistant", "b", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "[{'from': 'human', 'value': 'Which } { town?'}\n {'from': 'gpt', 'value': 'Aberlume.'}]",
        "[{'from': 'human', 'value': 'Which } { town?'} {'from': 'gpt', 'value': 'Aberlume.'}]",
        "array([{'content': 'Which } { town?', 'role': 'user'},\n       {'content': 'Aberlume.', 'role': 'assistant'}], dtype=object)",
    ],
)
def test_a_list_as_pandas_prints_it_is_read(text: str) -> None:
    assert [message.content for message in read(text)] == ["Which } { town?", "Aberlume."]


HERMES = [
    {"from": "system", "value": "You may call <tools>{}</tools>"},
    {"from": "human", "value": "2 + 3?"},
    {"from": "gpt", "value": '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call>'},
    {"from": "tool", "value": "<tool_response>\n5\n</tool_response>\n<tool_response>\n6\n</tool_response>"},
    {"from": "gpt", "value": "5, or 6"},
]


def test_calls_and_results_as_text_become_turns() -> None:
    cells = Cells()
    messages = messages_of(HERMES, "conversations", cells)
    assert [(one.role, one.content) for one in messages[3:5]] == [("tool", "5"), ("tool", "6")]
    assert "<tool_call>" in messages[2].content
    check_order(messages, "conversations", cells)
    assert cells.warnings == [], "the result follows a call, which is written as text"


def test_a_result_with_words_around_it_stays_as_it_is() -> None:
    said = "Here: <tool_response>5</tool_response>"
    assert read([{"role": "tool", "content": said}, {"role": "assistant", "content": "a"}])[0].content == said


def test_nulls_in_argument_text_are_kept() -> None:
    """What a column's type makes of an object can't have touched a text."""
    text, thing = '{"lamp": 3, "room": null}', {"lamp": 3, "room": None}
    for arguments, kept in ((text, thing), (thing, {"lamp": 3})):
        turn = {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": arguments}]}
        assert read([USER, turn])[1].tool_calls[0].arguments == kept


def test_numbers_as_ids_of_calls_are_kept() -> None:
    call = {"id": 124, "function": {"name": "go", "arguments": {}}}
    found = messages_of(
        [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "r", "tool_call_id": 124},
        ],
        "messages",
        Cells(),
    )
    assert (found[1].tool_calls[0].id, found[2].tool_call_id) == ("124", "124")


def test_part_marks_are_obeyed_and_other_keys_named() -> None:
    cells = Cells()
    part = {"type": "text", "text": "a", "loss": False, "cache_control": {}}
    found = messages_of([{"role": "user", "content": "q"}, {"role": "assistant", "content": [part]}], "messages", cells)
    assert found[1].train is False
    assert cells.unused == {"cache_control"}
