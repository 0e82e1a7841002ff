"""The turns of a row become messages: ShareGPT's and OpenAI's ways of writing them, tool calls and weights included."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any

from interfaces.example import Message, Role, ToolCall
from interfaces.problems import Code
from trainer.data.cells import Cells, RowError
from trainer.data.rows import kind_of

_ROLES: dict[str, Role] = {
    "system": "system", "developer": "system", "human": "user", "user": "user", "prompter": "user",
    "gpt": "assistant", "assistant": "assistant", "model": "assistant", "bot": "assistant", "chatgpt": "assistant",
    "ai": "assistant", "tool": "tool", "function": "tool", "observation": "tool", "tool_response": "tool",
    "function_response": "tool", "ipython": "tool",
}  # fmt: skip
_CALLS = {"function_call", "tool_call"}
"""ShareGPT's roles of a turn whose text is a call as JSON."""
ROLE_KEYS = ("role", "from", "speaker")
TEXT_KEYS = ("content", "value", "text")
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")


def as_list(value: Any, field: str, expected: str) -> list[Any]:
    """A list; in a CSV it is written as JSON, or as Python writes it."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _parsed(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list):
        raise RowError(Code.ROW_FIELD_TYPE, field=field, expected=expected, value=kind_of(value))
    return value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return text


def messages_of(turns: Any, field: str, cells: Cells) -> list[Message]:
    """The messages of a list of turns.

    Raises:
        RowError: a turn can't be used; its field says which.
    """
    listed = as_list(turns, field, "a list of turns")
    if not listed:
        raise RowError(Code.ROW_FIELD_EMPTY, field=field)
    messages: list[Message] = []
    for number, turn in enumerate(listed):
        if not isinstance(turn, dict):
            raise RowError(Code.ROW_FIELD_TYPE, field=f"{field}[{number}]", expected="an object", value=kind_of(turn))
        message = message_of(turn, f"{field}[{number}]", cells)
        if message is not None:
            messages.append(message)
    if not messages:
        raise RowError(Code.ROW_NO_ANSWER)
    return messages


def message_of(turn: dict[str, Any], field: str, cells: Cells) -> Message | None:
    """One turn; None for an empty system turn, which says nothing."""
    role_key = next((key for key in ROLE_KEYS if key in turn), "role" if "content" in turn else "from")
    text_key = next((key for key in TEXT_KEYS if key in turn), "content" if role_key == "role" else "value")
    name = cells.text(turn, role_key, field).strip().lower()
    if name in _CALLS:
        return _call_turn(turn, text_key, field, cells)
    role = _ROLES.get(name)
    if role is None:
        where = f"{field}.{role_key}"
        raise RowError(Code.ROW_ROLE_UNKNOWN, field=where, value=name[:40], known=sorted([*_ROLES, *_CALLS]))
    if role != "assistant":
        text = cells.text({text_key: _joined(turn.get(text_key), f"{field}.{text_key}")} if text_key in turn else turn,
                          text_key, field, required=role == "user")  # fmt: skip
        if role == "system" and not text.strip():
            return None
        return Message(role=role, content=text, name=_name(turn))
    calls = tuple(_calls(turn, field))
    reasoning = next(
        (turn[key] for key in _REASONING_KEYS if isinstance(turn.get(key), str) and turn[key].strip()), None
    )
    content = {text_key: _joined(turn.get(text_key), f"{field}.{text_key}")} if text_key in turn else turn
    text = cells.text(content, text_key, field, required=not calls, answer=True)
    if reasoning is not None:
        cells.look(reasoning, f"{field}.reasoning")
    return Message(
        role=role, content=text, train=_weight(turn, field), reasoning=reasoning, tool_calls=calls, name=_name(turn)
    )


def _joined(content: Any, field: str) -> Any:
    """OpenAI's content parts as one text; anything else as it is."""
    if not isinstance(content, list):
        return content
    texts = []
    for number, part in enumerate(content):
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None
        if not isinstance(text, str) or (
            isinstance(part, dict) and part.get("type", "text") not in ("text", "input_text", "output_text")
        ):
            kind = str(part.get("type"))[:20] if isinstance(part, dict) else kind_of(part)
            raise RowError(Code.ROW_FIELD_TYPE, field=f"{field}[{number}]", expected="text", value=kind)
        texts.append(text)
    return "".join(texts)


def _name(turn: dict[str, Any]) -> str | None:
    name = turn.get("name")
    return name if isinstance(name, str) and name else None


def _weight(turn: dict[str, Any], field: str) -> bool:
    """OpenAI's weight of an assistant's message: 0 is only read, 1 (the default) is learned; or our own `train`."""
    weight = turn.get("weight", turn.get("train", 1))
    if weight is None:
        return True
    if not isinstance(weight, int | float) or weight not in (0, 1):
        raise RowError(Code.ROW_FIELD_TYPE, field=f"{field}.weight", expected="0 or 1", value=str(weight)[:40])
    return bool(weight)


def _calls(turn: dict[str, Any], field: str) -> Iterator[ToolCall]:
    if turn.get("function_call") is not None:  # OpenAI's older way
        yield _call(turn["function_call"], f"{field}.function_call")
    if turn.get("tool_calls") is not None:
        for number, call in enumerate(as_list(turn["tool_calls"], f"{field}.tool_calls", "a list of calls")):
            yield _call(call, f"{field}.tool_calls[{number}]")


def _call_turn(turn: dict[str, Any], text_key: str, field: str, cells: Cells) -> Message:
    where = f"{field}.{text_key}"
    value: Any = turn.get(text_key)
    if not isinstance(value, dict | list):
        value = _json(cells.text(turn, text_key, field), where)
    calls = value if isinstance(value, list) else [value]
    if not calls:
        raise RowError(Code.ROW_FIELD_EMPTY, field=where)
    return Message(
        role="assistant", content="", train=_weight(turn, field), tool_calls=tuple(_call(call, where) for call in calls)
    )


def _json(text: str, field: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RowError(
            Code.ROW_FIELD_TYPE, field=field, expected="a call as JSON", value="text that is no JSON"
        ) from None


def _call(call: Any, field: str) -> ToolCall:
    """{"name", "arguments"}, or the same inside "function"; arguments as an object or as its JSON."""
    inner = call.get("function", call) if isinstance(call, dict) else call
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str) or not inner["name"].strip():
        raise RowError(Code.ROW_FIELD_TYPE, field=field, expected="a call with a name", value=kind_of(inner))
    arguments: Any = next((inner[key] for key in ("arguments", "parameters") if inner.get(key) is not None), {})
    if isinstance(arguments, str):
        arguments = _json(arguments, f"{field}.arguments") if arguments.strip() else {}
    if not isinstance(arguments, dict):
        raise RowError(Code.ROW_FIELD_TYPE, field=f"{field}.arguments", expected="an object", value=kind_of(arguments))
    return ToolCall(name=inner["name"], arguments=arguments)


def tools_of(value: Any, field: str) -> tuple[dict[str, Any], ...]:
    """The functions that a row offers, each as {"type": "function", "function": {...}}; often a JSON text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return ()
    if isinstance(value, str):
        value = _json(value, field)
    listed = as_list(value, field, "a list of tools")
    tools = []
    for number, tool in enumerate(listed):
        if not isinstance(tool, dict) or not isinstance(
            (inner := tool.get("function", tool)).get("name") if isinstance(tool.get("function", tool), dict) else None,
            str,
        ):
            raise RowError(
                Code.ROW_FIELD_TYPE, field=f"{field}[{number}]", expected="a tool with a name", value=kind_of(tool)
            )
        tools.append({"type": "function", "function": inner})
    return tuple(tools)


def check_order(messages: list[Message], field: str, cells: Cells) -> None:
    """Doubt turns that stand where no conversation has them."""

    def doubt(number: int, reason: str) -> None:
        cells.doubt(Code.ROW_ROLE_ORDER, f"{field}[{number}]", value=messages[number].role, reason=reason)

    previous = ""
    for number, message in enumerate(messages):
        called = number > 0 and (messages[number - 1].role == "tool" or bool(messages[number - 1].tool_calls))
        if message.role == "system":
            if number:
                return doubt(number, "after the beginning")
            continue
        if message.role == "assistant" and previous == "":
            return doubt(number, "before any question")
        if message.role in ("user", "assistant") and message.role == previous and not called:
            return doubt(number, "twice in a row")
        if message.role == "tool" and not called:
            return doubt(number, "without a call before it")
        previous = message.role
    if messages[-1].role != "assistant":
        return doubt(len(messages) - 1, "at the end, where nothing is learned from it")
    return None
