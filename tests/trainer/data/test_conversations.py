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
def test_every_way_to_write_a_call_is_one_call_and_learned(turn: dict[str, Any]) -> None:
    message = read([USER, turn])[1]
    assert (message.role, message.content, message.tool_calls, message.train) == ("assistant", "", (CALL,), True)


@pytest.mark.parametrize("role", ["tool", "observation", "function", "tool_response", "ipython"])
def test_results_are_read_not_learned(role: str) -> None:
    message = read([{"from": role, "value": "5", "name": "f"}, {"from": "gpt", "value": "five"}])[0]
    assert (message.role, message.content, message.name, message.train) == ("tool", "5", "f", False)


def test_content_parts_are_joined_and_images_refused() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read([{"role": "user", "content": parts}, {"role": "assistant", "content": "c"}])[0].content == "ab"
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    assert refused(image) == (Code.ROW_FIELD_TYPE, "messages[0].content[0]")


@pytest.mark.parametrize(("weight", "train"), [(0, False), (1, True), (0.0, False), (True, True), (None, True)])
def test_a_weight_says_whether_an_answer_is_learned(weight: Any, train: bool) -> None:
    assert read([USER, {"role": "assistant", "content": "a", "weight": weight}])[1].train is train


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_kept_apart(key: str) -> None:
    message = read([USER, {"role": "assistant", "content": "a", key: "because"}])[1]
    assert (message.content, message.reasoning) == ("a", "because")


def test_a_list_in_a_table_is_read_as_json_or_as_python_writes_it() -> None:
    turns = [USER, {"role": "assistant", "content": "it's"}]
    assert read(json.dumps(turns)) == read(str(turns)) == read(turns)


def test_an_empty_system_turn_says_nothing() -> None:
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
def test_turns_where_no_conversation_has_them_are_doubted(roles: str, doubted: int | None) -> None:
    cells = Cells()
    check_order([Message(role=role, content="x") for role in roles.split()], "messages", cells)  # type: ignore[arg-type]
    wanted = [] if doubted is None else [f"messages[{doubted}]"]
    assert [params["field"] for _, params in cells.doubts] == wanted


def test_a_call_and_its_results_are_in_order() -> None:
    cells = Cells()
    called = Message(role="assistant", content="", tool_calls=(CALL, CALL))
    result, user, answer = (
        Message(role="tool", content="1"),
        Message(role="user", content="q"),
        Message(role="assistant", content="a"),
    )
    check_order([user, called, result, result, answer, user, called, result, called, result, answer], "messages", cells)
    assert cells.doubts == []
