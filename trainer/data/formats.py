"""Converts rows to examples. The format is detected from the columns and can be chosen instead.

conversation   one column has the turns: messages (role, content), conversations (from, value), or a transcript
pair           a prompt column and an answer column: alpaca, prompt_completion, question_answer
preference     a conversation or a prompt with a chosen and a rejected answer
text           one column of plain text; every token is trained on
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from interfaces.errors import FineTuneError
from interfaces.example import Example, Message
from interfaces.problems import Code, Problem
from trainer.data.cells import Cells, RowError, without_edges
from trainer.data.conversations import (
    LISTED_TOOLS,
    ROLE_KEYS,
    TEXT_KEYS,
    check_order,
    is_role,
    messages_of,
    tools_of,
    transcript_of,
)
from trainer.data.lists import as_list
from trainer.data.media import refuse_media
from trainer.data.preferences import CHOSEN, REJECTED, label_of, two_sides
from trainer.data.rows import Row

ROLES = ("messages", "prompt", "input", "completion", "system", "history", "tools", "chosen", "rejected", "text")
"""The roles of columns."""
_CONVERSATION = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat")
_PAIRS = (  # name, prompt columns, answer columns; the first existing ones count
    ("alpaca", ("instruction",), ("output", "response", "completion", "answer")),
    ("prompt_completion", ("prompt",), ("completion", "response", "output", "answer")),
    ("question_answer", ("question", "query", "problem", "q"), ("answer", "response", "solution", "output", "a")),
    ("input_output", ("input", "user", "human", "source"), ("output", "assistant", "target", "gpt", "bot")),
)
_OPTIONAL = {
    "input": ("input", "context"),
    "system": ("system", "system_prompt", "system_message"),
    "history": ("history",),
    "tools": ("tools", "functions"),
}
_TEXT = ("text", "content", "document")
_SPEAKERS = {"customer", "client", "agent", "support", "operator", "representative", "bot", "chatbot"}
KNOWN = (
    "messages", "conversations", "instruction + output", "prompt + completion", "question + answer",
    "chosen + rejected", "text",
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """The format of one dataset: a name, and the role of each column."""

    name: str
    columns: Mapping[str, str]

    @property
    def kind(self) -> str:
        return next(kind for kind in ("messages", "chosen", "prompt", "text") if kind in self.columns)


def detect_shape(rows: Iterable[Mapping[str, object]], path_name: str = "") -> Shape:
    """Detect the format from the columns of the first rows.

    Raises:
        FineTuneError: no format matches; the problem lists the columns seen and the known formats.
    """
    seen: dict[str, object] = {}
    for row in rows:
        for column, value in row.items():
            if seen.get(column) is None:
                seen[column] = value
    found = _detected(seen)
    if (found is None or found[0] == "text") and _is_one_turn(seen):
        raise FineTuneError.of(Code.FORMAT_ONE_TURN, path=path_name)
    if found is None:
        shown = [str(column)[:200] for column in list(seen)[:50]]
        raise FineTuneError.of(Code.FORMAT_UNKNOWN, path=path_name, columns=shown, known=list(KNOWN))
    return with_late_columns(Shape(*found), seen)


def with_late_columns(shape: Shape, seen: Iterable[str]) -> Shape:
    """Add the optional columns among `seen` that the format can use."""
    columns, taken = dict(shape.columns), set(shape.columns.values())
    for role, names in _OPTIONAL.items():
        if role in columns or (role in ("input", "history") and "prompt" not in columns) or shape.kind == "text":
            continue
        column = _named(seen, names)
        if column is not None and column not in taken:
            columns[role] = column
    return Shape(shape.name, columns)


def _detected(seen: dict[str, object]) -> tuple[str, dict[str, str]] | None:
    chosen, rejected = _named(seen, CHOSEN), _named(seen, REJECTED)
    turns = _named(seen, _CONVERSATION)
    pair = next(
        (
            (name, asks, answers)
            for name, ask, answer in _PAIRS
            if (asks := _named(seen, ask)) is not None and (answers := _named(seen, answer)) is not None
        ),
        None,
    )
    if chosen is not None and rejected is not None:
        columns = {"chosen": chosen, "rejected": rejected}
        prompt = _named(seen, ("prompt", "instruction", "question", "query"))
        if turns is not None or prompt is not None:
            columns |= {"messages": turns} if turns is not None else {"prompt": str(prompt)}
        return "preference", columns
    if turns is not None and not isinstance(seen[turns], int | float):
        return _turns_name(seen[turns]), {"messages": turns}
    if pair is not None:
        return pair[0], {"prompt": pair[1], "completion": pair[2]}
    text = _named(seen, _TEXT)
    if text is not None and isinstance(written := seen[text], str) and transcript_of(written):
        return "transcript", {"messages": text}
    return ("text", {"text": text}) if text is not None else None


def _is_one_turn(seen: Mapping[str, object]) -> bool:
    """Return whether a row is a single message: a role and a text."""
    role, text = _named(seen, (*ROLE_KEYS, "type")), _named(seen, TEXT_KEYS)
    if role is None or text is None:
        return False
    return is_role(seen[role]) or str(seen[role]).strip().lower() in _SPEAKERS


def _named(seen: Iterable[str], names: Iterable[str]) -> str | None:
    by_lower = {str(column).strip().lower(): column for column in reversed(list(seen))}
    return next((by_lower[name] for name in names if name in by_lower), None)


def _turns_name(value: Any) -> str:
    text = str(value[0] if isinstance(value, list) and value else value)[:2000]
    return "sharegpt" if "'from'" in text or '"from"' in text else "messages"


def chosen_shape(columns: Mapping[str, str], seen: Iterable[str], path_name: str) -> Shape:
    """Build the format from the roles of columns that the user chose.

    Raises:
        FineTuneError: a role is unknown, a column is missing or used twice, or there are too few for an example.
    """
    known = list(seen)
    for role, column in columns.items():
        if role not in ROLES:
            raise FineTuneError.of(Code.COLUMN_ROLE_UNKNOWN, value=role, known=list(ROLES))
        if column not in known:
            shown = [str(name)[:40] for name in known[:20]]
            raise FineTuneError.of(Code.COLUMN_MISSING, path=path_name, field=role, value=column, known=shown)
    if len(set(columns.values())) < len(columns):
        raise FineTuneError.of(Code.COLUMNS_INCOMPLETE, path=path_name)
    whole = ({"prompt", "completion"}, {"messages"}, {"text"}, {"chosen"})
    if not any(needs <= set(columns) for needs in whole):
        raise FineTuneError.of(Code.COLUMNS_INCOMPLETE, path=path_name)
    return Shape("mapped", dict(columns))


def example_of(
    row: Row, shape: Shape, path_name: str, unused_keys: Counter[str] | None = None
) -> tuple[Example | None, list[Problem]]:
    """Convert a row to an example with its warnings, or to None with its errors.

    `unused_keys` counts the unused keys inside its turns.
    """
    where = {"path": path_name, "row": row.row, "line": row.line}
    if row.problem is not None or row.values is None:
        return None, [row.problem or Problem.error(Code.ROW_NOT_OBJECT, value="null", **where)]
    cells = Cells()

    def placed(params: dict[str, object]) -> dict[str, object]:
        """Add the sheet cell of the field."""
        field = re.split(r"[.\[]", str(params.get("field")))[0]
        return {**where, **params, **({"cell": row.cells[field]} if row.cells and field in row.cells else {})}

    try:
        refuse_media(row.values)
        example = _CONVERTERS[shape.kind](row.values, shape.columns, cells)
    except RowError as error:
        return None, [Problem.error(error.code, **placed(error.params))]
    if unused_keys is not None:
        unused_keys.update(cells.unused)
    example = example.model_copy(update={"row": row.row, "line": row.line})
    return example, [Problem.warning(code, **placed(params)) for code, params in cells.warnings]


def _conversation(values: dict[str, object], columns: Mapping[str, str], cells: Cells) -> Example:
    field = columns["messages"]
    if field not in values:
        raise RowError(Code.ROW_FIELD_MISSING, field=field)
    turns = values[field]
    messages = messages_of((isinstance(turns, str) and transcript_of(turns)) or turns, field, cells)
    if "chosen" not in columns:
        return _with_rest(messages, field, values, columns, cells)
    messages, rejected = two_sides(messages, values, columns, cells)
    return _with_rest(messages, columns["chosen"], values, columns, cells, rejected)


def _pair(values: dict[str, object], columns: Mapping[str, str], cells: Cells) -> Example:
    if isinstance(values.get(columns["prompt"]), list) and isinstance(values.get(columns["completion"]), list):
        # Prompt and completion are both turns; those of the prompt are context.
        asked = messages_of(values[columns["prompt"]], columns["prompt"], cells)
        asked = [message.model_copy(update={"train": False}) for message in asked]
        answered = messages_of(values[columns["completion"]], columns["completion"], cells)
        return _with_rest(asked + answered, columns["prompt"], values, columns, cells)
    messages = [message for pair in _history(values, columns, cells) for message in pair]
    question, alone = _question(values, columns, cells)
    if alone and (turns := transcript_of(question)):
        asked = messages_of(turns, columns["prompt"], cells)
        messages += [message.model_copy(update={"train": False}) for message in asked]
        answer = cells.text(values, columns["completion"], answer=True).strip()
        answer = answer.removeprefix("Assistant:").strip() or answer
        messages.append(Message(role="assistant", content=answer, train=True))
        return _with_rest(messages, columns["prompt"], values, columns, cells)
    answer = without_edges(cells.text(values, columns["completion"], answer=True))
    messages += [Message(role="user", content=question), Message(role="assistant", content=answer, train=True)]
    return _with_rest(messages, columns["prompt"], values, columns, cells)


def _preference(values: dict[str, object], columns: Mapping[str, str], cells: Cells) -> Example:
    """Read a preference row without a conversation column. The prompt is a text, turns, or part of both answers."""
    messages: list[Message] = []
    if "prompt" in columns:
        prompt = values.get(columns["prompt"])
        if isinstance(prompt, list):
            messages = messages_of(prompt, columns["prompt"], cells)
        else:
            asked, alone = _question(values, columns, cells)
            turns = (alone and transcript_of(asked)) or [{"role": "user", "content": asked}]
            earlier = [message for pair in _history(values, columns, cells) for message in pair]
            messages = earlier + messages_of(turns, columns["prompt"], cells)
    messages, rejected = two_sides(messages, values, columns, cells)
    return _with_rest(messages, columns["chosen"], values, columns, cells, rejected)


def _question(values: dict[str, object], columns: Mapping[str, str], cells: Cells) -> tuple[str, bool]:
    """Return the question of a row with what Alpaca's input adds to it, and whether there is no input."""
    question = cells.text(values, columns["prompt"])
    more = cells.text(values, columns["input"], required=False) if "input" in columns else ""
    return (f"{question}\n{more}", False) if more.strip() else (question, True)


def _plain_text(values: dict[str, object], columns: Mapping[str, str], cells: Cells) -> Example:
    return Example(text=cells.text(values, columns["text"], any_length=True), row=0)


_CONVERTERS = {"messages": _conversation, "prompt": _pair, "chosen": _preference, "text": _plain_text}


def _history(values: dict[str, object], columns: Mapping[str, str], cells: Cells) -> Iterable[list[Message]]:
    """Yield Alpaca's earlier turns from a list of [question, answer]."""
    if "history" not in columns or values.get(columns["history"]) in (None, "", []):
        return
    field = columns["history"]
    for number, turn in enumerate(as_list(values[field], field, "list_of_turns")):
        pair = as_list(turn, f"{field}[{number}]", "question_and_answer")
        if len(pair) != 2:
            raise RowError(
                Code.ROW_FIELD_TYPE, field=f"{field}[{number}]", expected="question_and_answer",
                value={"code": "list_of_items", "count": len(pair)},
            )  # fmt: skip
        named = {"0": pair[0], "1": pair[1]}
        where = f"{field}[{number}]"
        yield [
            Message(role="user", content=cells.text(named, "0", where)),
            Message(role="assistant", content=cells.text(named, "1", where, answer=True), train=True),
        ]


def _with_rest(
    messages: list[Message], field: str, values: dict[str, object], columns: Mapping[str, str], cells: Cells,
    rejected: Iterable[Message] = (),
) -> Example:  # fmt: skip
    """Complete the example with the row's system text and tools, and check that it has something to train on."""
    system = cells.text(values, columns["system"], required=False) if "system" in columns else ""
    if system.strip() and messages[0].role != "system":
        messages = [Message(role="system", content=system), *messages]
    elif system.strip() and system.strip() not in messages[0].content:  # keep both
        both = f"{system.rstrip()}\n\n{messages[0].content}"
        messages = [messages[0].model_copy(update={"content": both}), *messages[1:]]
    if not any(message.train for message in messages):
        raise RowError(Code.ROW_NO_ANSWER)
    asked = next((number for number, one in enumerate(messages) if one.role in ("user", "tool")), len(messages))
    if not any(message.role == "assistant" for message in messages[asked:]):
        raise RowError(Code.ROW_NO_QUESTION, field=field)
    check_order(messages, field, cells)
    tools = tools_of(values.get(columns["tools"]), columns["tools"]) if "tools" in columns else ()
    if any(message.role in ("system", "user") and LISTED_TOOLS in message.content for message in messages[:2]):
        tools = ()  # the row's text already lists them
    label = None if rejected else label_of(values, columns)
    if label is not None:  # it judges the last answer, not those before it
        asked = max((number for number, one in enumerate(messages) if one.role == "user"), default=0)
        messages = [one.model_copy(update={"train": False}) for one in messages[:asked]] + messages[asked:]
    return Example(messages=tuple(messages), rejected=tuple(rejected), label=label, tools=tools, row=0)
