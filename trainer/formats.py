"""Rows become examples. The shape is detected from the columns, with the reason; never guessed in silence.

alpaca              instruction, output (input and system where given)
sharegpt            conversations: [{from, value}, ...]
messages            messages: [{role, content}, ...]
prompt_completion   prompt, completion
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from interfaces.example import Example, Message, Role
from interfaces.problems import Code, FineTuneError, Problem
from trainer.reading import Row, kind_of

_ROLES: dict[str, Role] = {
    "system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
    "model": "assistant", "bot": "assistant", "chatgpt": "assistant",
}  # fmt: skip


class RowError(Exception):
    """A row that can't become an example; the caller adds where it stands."""

    def __init__(self, code: Code, **params: Any) -> None:
        super().__init__(code)
        self.code, self.params = code, params


@dataclass(frozen=True)
class Format:
    """One known shape: the columns it needs, and how a row of it is read."""

    name: str
    needs: tuple[str, ...]
    convert: Callable[[dict[str, Any]], list[Message]]


def detect_format(columns: Iterable[str], path_name: str = "") -> Format:
    """The first known shape whose columns are all there.

    Raises:
        FineTuneError: none fits; the problem names the columns seen and the shapes known.
    """
    seen = list(columns)
    for shape in FORMATS:
        if all(column in seen for column in shape.needs):
            return shape
    known = [f"{shape.name} ({', '.join(shape.needs)})" for shape in FORMATS]
    raise FineTuneError.of(
        Code.FORMAT_UNKNOWN, path=path_name, columns=[str(column)[:40] for column in seen[:20]], known=known
    )


def example_of(row: Row, shape: Format, path_name: str) -> Example | Problem:
    """A row as an example, or what is wrong with it."""
    if row.problem is not None or row.values is None:
        return row.problem or Problem.error(
            Code.ROW_NOT_OBJECT, path=path_name, row=row.row, line=row.line, value="null"
        )
    try:
        messages = shape.convert(row.values)
        if not any(message.train for message in messages):
            raise RowError(Code.ROW_NO_ANSWER)
    except RowError as error:
        return Problem.error(error.code, path=path_name, row=row.row, line=row.line, **error.params)
    return Example(messages=tuple(messages), row=row.row, line=row.line)


def _text(values: dict[str, Any], field: str, required: bool = True) -> str:
    """A text field. An optional one may be missing or null; a required one must hold more than blanks."""
    if field not in values and required:
        raise RowError(Code.ROW_FIELD_MISSING, field=field)
    value = values.get(field)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        raise RowError(Code.ROW_FIELD_TYPE, field=field, expected="text", value=kind_of(value))
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise RowError(
            Code.ROW_FIELD_TYPE, field=field, expected="text", value="text with half a character (a lone surrogate)"
        )
    if required and not value.strip():
        raise RowError(Code.ROW_FIELD_EMPTY, field=field)
    return value


def _turns(values: dict[str, Any], field: str) -> list[dict[str, Any]]:
    turns = values.get(field)
    if not isinstance(turns, list):
        raise RowError(Code.ROW_FIELD_TYPE, field=field, expected="a list of turns", value=kind_of(turns))
    if not turns:
        raise RowError(Code.ROW_FIELD_EMPTY, field=field)
    for number, turn in enumerate(turns):
        if not isinstance(turn, dict):
            raise RowError(Code.ROW_FIELD_TYPE, field=f"{field}[{number}]", expected="an object", value=kind_of(turn))
    return turns


def _alpaca(values: dict[str, Any]) -> list[Message]:
    instruction, more = _text(values, "instruction"), _text(values, "input", required=False)
    question = f"{instruction}\n{more}" if more.strip() else instruction
    return _with_system(values, [Message(role="user", content=question), _answer(_text(values, "output"))])


def _prompt_completion(values: dict[str, Any]) -> list[Message]:
    prompt, completion = _text(values, "prompt"), _text(values, "completion")
    return _with_system(values, [Message(role="user", content=prompt), _answer(completion.strip())])


def _sharegpt(values: dict[str, Any]) -> list[Message]:
    return _conversation(values, "conversations", "from", "value")


def _messages(values: dict[str, Any]) -> list[Message]:
    return _conversation(values, "messages", "role", "content")


def _conversation(values: dict[str, Any], field: str, role_key: str, text_key: str) -> list[Message]:
    messages: list[Message] = []
    for number, turn in enumerate(_turns(values, field)):
        try:
            name, text = _text(turn, role_key), _text(turn, text_key)
        except RowError as error:
            error.params["field"] = f"{field}[{number}].{error.params['field']}"
            raise
        role = _ROLES.get(name.strip().lower())
        if role is None:
            where = f"{field}[{number}].{role_key}"
            raise RowError(Code.ROW_ROLE_UNKNOWN, field=where, value=name[:40], known=sorted(_ROLES))
        messages.append(_answer(text) if role == "assistant" else Message(role=role, content=text))
    return messages if messages[0].role == "system" else _with_system(values, messages)


def _with_system(values: dict[str, Any], messages: list[Message]) -> list[Message]:
    system = _text(values, "system", required=False)
    return [Message(role="system", content=system), *messages] if system.strip() else messages


def _answer(text: str) -> Message:
    return Message(role="assistant", content=text, train=True)


FORMATS = (
    Format("messages", ("messages",), _messages),
    Format("sharegpt", ("conversations",), _sharegpt),
    Format("alpaca", ("instruction", "output"), _alpaca),
    Format("prompt_completion", ("prompt", "completion"), _prompt_completion),
)
