"""Converts the turns of a row to messages, from ShareGPT's and OpenAI's formats, with tool calls and weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from interfaces.example import Message, Role, ToolCall
from interfaces.problems import Code
from trainer.data.cells import Cells, RowError
from trainer.data.lists import as_list
from trainer.data.media import refuse_media
from trainer.data.rows import kind_of, without_nulls

_ROLES: dict[str, Role] = {
    "system": "system", "developer": "system", "human": "user", "user": "user", "prompter": "user",
    "gpt": "assistant", "assistant": "assistant", "model": "assistant", "bot": "assistant", "chatgpt": "assistant",
    "ai": "assistant", "tool": "tool", "function": "tool", "observation": "tool", "tool_response": "tool",
    "function_response": "tool", "ipython": "tool",
}  # fmt: skip
_ASKS = ("human", "user", "question", "prompt", "input")
_ANSWERS = ("assistant", "gpt", "bot", "answer", "response", "output")
"""Keys for the answer in a turn that holds both a question and its answer."""
_TRANSCRIPTS = tuple(
    re.compile(rf"{between}({asks}|Assistant):") for between in (r"\n\n", r"\n") for asks in ("Human", "User")
)
"""Speaker labels in a transcript, after a blank line (hh-rlhf) or on a separate line."""
_REASONING_PARTS = ("reasoning", "thinking")
_TEXT_PARTS = ("text", "input_text", "output_text", *_REASONING_PARTS)
_CALLS = {"function_call", "tool_call"}
"""ShareGPT's roles for a turn whose text is a tool call as JSON."""
LISTED_TOOLS, _WRITTEN_CALLS = "<tools>", ("<tool_call>", "<function=", "[TOOL_CALLS]", "<|tool_call")
"""How Hermes datasets write tools and calls as text. Such text stays unchanged and isn't wrapped again."""
_RESPONSE = re.compile(r"<tool_response>\s*(.*?)\s*</tool_response>\s*", re.DOTALL)
_MARKS = ("weight", "train", "loss", "loss_weight")
"""Keys that mark whether to train on a turn: OpenAI's, axolotl's, ms-swift's, and LLaMA-Factory's."""
_MEDIA = ("image", "image_url", "input_image", "video", "video_url", "audio", "audio_url", "input_audio")
ROLE_KEYS = ("role", "from", "speaker", "sender", "author")
TEXT_KEYS = ("content", "value", "text")
_REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
_SAID_KEYS = ("text", "value", "content", *_REASONING_KEYS)
_PART_KEYS = {"type", *_SAID_KEYS, *_MARKS}
_KNOWN_KEYS = {
    *ROLE_KEYS,
    *TEXT_KEYS,
    *_REASONING_KEYS,
    *_MARKS,
    "name",
    "tool_calls",
    "function_call",
    "tool_call_id",
    "id",
}


def is_role(value: Any) -> bool:
    """Return whether a value is a known role."""
    name = value.strip().lower() if isinstance(value, str) else ""
    return name in _ROLES or name in _CALLS


def messages_of(turns: Any, field: str, cells: Cells) -> list[Message]:
    """Convert a list of turns to messages.

    Raises:
        RowError: a turn can't be used; the error's field names it.
    """
    listed = as_list(turns, field, "list_of_turns")
    if not listed:
        raise RowError(Code.ROW_FIELD_EMPTY, field=field)
    messages: list[Message] = []
    for number, turn in enumerate(listed):
        if not isinstance(turn, dict):
            raise RowError(Code.ROW_FIELD_TYPE, field=f"{field}[{number}]", expected="type_object", value=kind_of(turn))
        for one in _apart(turn):
            message = message_of(one, f"{field}[{number}]", cells)
            if message is not None:
                messages.append(message)
    if not messages:
        raise RowError(Code.ROW_NO_ANSWER)
    return messages


def _apart(turn: dict[str, object]) -> list[dict[str, object]]:
    """Split an object with several turns: a question with its answer (Firefly), or results in <tool_response>."""
    role_key = next((key for key in ROLE_KEYS if key in turn), None)
    if role_key is not None:
        text_key, text = next(((key, found) for key in TEXT_KEYS if isinstance(found := turn.get(key), str)), ("", ""))
        if not text_key or _ROLES.get(str(turn[role_key]).strip().lower()) != "tool":
            return [turn]
        results = _RESPONSE.findall(text)
        if not results or _RESPONSE.sub("", text).strip():
            return [turn]
        return [{**turn, text_key: result} for result in results]
    named = {key.lower(): key for key in reversed(list(turn))}
    asks, answers = (next((named[key] for key in keys if key in named), None) for keys in (_ASKS, _ANSWERS))
    if asks is None or answers is None:
        return [turn]
    rest = {key: value for key, value in turn.items() if key not in (asks, answers, "system")}
    system = [{"role": "system", "content": turn["system"]}] if turn.get("system") else []
    return [*system, {"role": "user", "content": turn[asks]}, {"role": "assistant", "content": turn[answers], **rest}]


def transcript_of(text: str) -> list[dict[str, object]]:
    """Return the turns of a transcript like `Human: ... Assistant: ...` (hh-rlhf) or with `User:`, or an empty list.

    A final `Assistant:` without an answer, as at the end of a prompt, doesn't count as a turn.
    """
    if not text.lstrip().startswith(("Human:", "User:")):
        return []
    whole = "\n\n" + text.strip().replace("\r\n", "\n") + "\n"
    split = [pattern.split(whole)[1:] for pattern in _TRANSCRIPTS]
    # A lone question counts as a transcript only with hh-rlhf's `Human:`, because many texts begin with `User:`.
    pieces = next((one for one in split if "Assistant" in one[2::2]), split[0])
    if not pieces or pieces[0] == "Assistant":
        return []
    turns = [
        {"role": "assistant" if speaker == "Assistant" else "user", "content": said.strip()}
        for speaker, said in zip(pieces[::2], pieces[1::2], strict=True)
    ]
    return turns if turns[-1]["content"] or turns[-1]["role"] == "user" else turns[:-1]


def message_of(turn: dict[str, object], field: str, cells: Cells) -> Message | None:
    """Convert one turn. Return None for an empty system turn."""
    if len(turn) > 2:
        refuse_media(turn, field)
        cells.unused |= turn.keys() - _KNOWN_KEYS
    role_key = next((key for key in ROLE_KEYS if key in turn), "role" if "content" in turn else "from")
    text_key = next((key for key in TEXT_KEYS if key in turn), "content" if role_key == "role" else "value")
    name = cells.text(turn, role_key, field).strip().lower()
    if name in _CALLS:
        return _call_turn(turn, text_key, field, cells)
    role = _ROLES.get(name)
    if role is None:
        where = f"{field}.{role_key}"
        raise RowError(Code.ROW_ROLE_UNKNOWN, field=where, value=name[:40], known=sorted([*_ROLES, *_CALLS]))
    parts = _parts_of(turn.get(text_key), f"{field}.{text_key}", cells)
    content: dict[str, object] = turn if parts is None else {text_key: parts.text}
    if role != "assistant":
        text = cells.text(content, text_key, field, required=role == "user")
        if role == "system" and not text.strip():
            return None
        called = turn.get("tool_call_id", turn.get("id")) if role == "tool" else None
        return Message(role=role, content=text, name=_name(turn), tool_call_id=_id(called))
    calls = (*_calls(turn, field), *(parts.calls if parts else ()))
    reasoning = next(
        (said for key in _REASONING_KEYS if isinstance(said := turn.get(key), str) and said.strip()),
        parts.reasoning or None if parts else None,
    )
    text = cells.text(content, text_key, field, required=not calls, answer=True)
    if reasoning is not None:
        cells.look(reasoning, f"{field}.reasoning")
    return Message(
        role=role,
        content=text,
        train=_weight(turn, field) and (parts is None or parts.train),
        reasoning=reasoning,
        tool_calls=calls,
        name=_name(turn),
    )


@dataclass
class _Parts:
    """The content of a list of content parts (OpenAI, LLaMA-Factory)."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    train: bool = True
    """False if any part is marked as not to train on: an answer is trained on completely or not at all."""


def _parts_of(content: Any, field: str, cells: Cells) -> _Parts | None:
    """Parse the parts of a turn's content, or return None if it has none. `cells` collects their unused keys.

    Raises:
        RowError: a part is media, or of an unknown type.
    """
    if not isinstance(content, list):
        return None
    found = _Parts()
    for number, part in enumerate(content):
        where = f"{field}[{number}]"
        kind = part.get("type", "text") if isinstance(part, dict) else "text"
        said = part if isinstance(part, str) else _said_by(part)
        if isinstance(part, dict) and len(part) > 2:
            cells.unused |= part.keys() - _PART_KEYS
            found.train = found.train and _weight(part, where)
        if kind in _MEDIA:
            raise RowError(Code.ROW_HAS_MEDIA, field=where, value=str(kind))
        if kind == "tool_call" and said is not None:
            found.calls += (_call(_json(said, where) if isinstance(said, str) else said, where),)
        elif not isinstance(said, str) or kind not in _TEXT_PARTS:
            keys: object = kind_of(part)
            if isinstance(part, dict):
                keys = {"code": "part_with_keys", "kind": str(kind)[:20], "known": list(part)[:8]}
            raise RowError(Code.ROW_FIELD_TYPE, field=where, expected="text_part", value=keys)
        elif kind in _REASONING_PARTS:
            found.reasoning += said
        else:
            found.text += said
    return found


def _said_by(part: Any) -> Any:
    """Return a part's text from `{"text": ...}`, `{"value": ...}`, or OpenAI's `{"text": {"value": ...}}`."""
    if not isinstance(part, dict):
        return None
    said = next((part[key] for key in _SAID_KEYS if part.get(key) is not None), None)
    return said["value"] if isinstance(said, dict) and isinstance(said.get("value"), str) else said


def _id(value: Any) -> str | None:
    """Return a call's id as text. Some datasets use numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def _name(turn: dict[str, object]) -> str | None:
    name = turn.get("name")
    return name if isinstance(name, str) and name else None


def _weight(turn: dict[str, object], field: str) -> bool:
    """Return whether to train on an assistant turn: yes, unless a known mark is 0 or false."""
    trained = True
    for key in _MARKS:
        mark = turn.get(key)
        if mark is None:
            continue
        if isinstance(mark, str):
            mark = {"true": 1, "false": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0}.get(mark.strip().lower(), mark)
        if not isinstance(mark, int | float) or mark not in (0, 1):
            raise RowError(Code.ROW_FIELD_TYPE, field=f"{field}.{key}", expected="zero_or_one", value=str(mark)[:40])
        trained = trained and bool(mark)
    return trained


def _calls(turn: dict[str, object], field: str) -> Iterator[ToolCall]:
    if turn.get("function_call") is not None:  # OpenAI's older format
        yield _call(turn["function_call"], f"{field}.function_call")
    if turn.get("tool_calls") is not None:
        for number, call in enumerate(as_list(turn["tool_calls"], f"{field}.tool_calls", "list_of_calls")):
            yield _call(call, f"{field}.tool_calls[{number}]")


def _call_turn(turn: dict[str, object], text_key: str, field: str, cells: Cells) -> Message:
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
        raise RowError(Code.ROW_FIELD_TYPE, field=field, expected="call_as_json", value="no_json_text") from None


def _call(call: Any, field: str) -> ToolCall:
    """Parse {"name", "arguments"}, or the same inside "function". The arguments are an object or its JSON."""
    inner = call.get("function", call) if isinstance(call, dict) else call
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str) or not inner["name"].strip():
        raise RowError(Code.ROW_FIELD_TYPE, field=field, expected="call_with_name", value=kind_of(inner))
    arguments: Any = next((inner[key] for key in ("arguments", "parameters") if inner.get(key) is not None), {})
    if isinstance(arguments, str):  # no file format has changed nulls inside text, so they are intended
        arguments = _json(arguments, f"{field}.arguments") if arguments.strip() else {}
    else:
        arguments = without_nulls(arguments)
    if not isinstance(arguments, dict):
        raise RowError(
            Code.ROW_FIELD_TYPE, field=f"{field}.arguments", expected="type_object", value=kind_of(arguments)
        )
    return ToolCall(name=inner["name"], arguments=arguments, id=_id(call.get("id")))


def tools_of(value: Any, field: str) -> tuple[dict[str, object], ...]:
    """Return a row's functions, each as {"type": "function", "function": {...}}; the value is often JSON text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return ()
    if isinstance(value, str):
        value = _json(value, field)
    listed = as_list(value, field, "list_of_tools")
    tools = []
    for number, tool in enumerate(listed):
        if not isinstance(tool, dict) or not isinstance(
            (inner := tool.get("function", tool)).get("name") if isinstance(tool.get("function", tool), dict) else None,
            str,
        ):
            raise RowError(
                Code.ROW_FIELD_TYPE, field=f"{field}[{number}]", expected="tool_with_name", value=kind_of(tool)
            )
        tools.append({"type": "function", "function": without_nulls(inner)})
    return tuple(tools)


def check_order(messages: list[Message], field: str, cells: Cells) -> None:
    """Add warnings for turns in an unusual order."""

    def warn(number: int, reason: str) -> None:
        cells.warn(Code.ROW_ROLE_ORDER, f"{field}[{number}]", value=messages[number].role, reason=reason)

    previous = ""
    for number, message in enumerate(messages):
        before = messages[number - 1] if number else None
        called = before is not None and (
            before.role == "tool" or bool(before.tool_calls) or any(call in before.content for call in _WRITTEN_CALLS)
        )
        if message.role == "system":
            if number:
                return warn(number, "system_not_first")
            continue
        if message.role == "assistant" and previous == "":
            return warn(number, "nothing_asked")
        if message.role in ("user", "assistant") and message.role == previous and not called:
            return warn(number, "role_repeated")
        if message.role == "tool" and not called:
            return warn(number, "nothing_called")
        previous = message.role
    if messages[-1].role != "assistant":
        return warn(len(messages) - 1, "no_answer_follows")
    return None
