"""Reads the two answers of a preference row, and the marks of desired and undesired answers.

The prompt is a column of its own, or what both conversations begin with (TRL's explicit and implicit prompts).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from interfaces.example import Message
from interfaces.problems import Code
from trainer.data.cells import Cells, RowError, without_edges
from trainer.data.conversations import TEXT_KEYS, message_of, messages_of, transcript_of
from trainer.data.lists import as_list

CHOSEN, REJECTED = ("chosen", "chosen_messages"), ("rejected", "rejected_messages")
_MARKS = {"label": {"true": True, "false": False}, "kto_tag": {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}}  # fmt: skip
"""KTO's marks in TRL and LLaMA-Factory. A label 0 or 1 could be any class, so it marks nothing."""
LABELS = set(_MARKS)
"""The columns that say whether an answer is desired."""
_TURNS = re.compile(r"\s*\[\s*\{\s*['\"](role|from)['\"]")
"""A cell of a table that holds turns as JSON or as Python writes them."""


def two_sides(
    prompt: list[Message], values: dict[str, object], columns: Mapping[str, str], cells: Cells
) -> tuple[list[Message], list[Message]]:
    """Return the conversation with the chosen answer, and the turns of the rejected one (none without that column).

    Raises:
        RowError: an answer is missing, both are the same, or they answer different prompts.
    """
    chosen = _side(values, columns["chosen"], cells)
    if "rejected" not in columns:
        repeated = bool(prompt) and _same(chosen[: len(prompt)], prompt)
        return (chosen if repeated else prompt + chosen), []
    rejected = _side(values, columns["rejected"], cells)
    while prompt and prompt[-1].role == "assistant":  # a column of turns may hold the chosen answer as well
        prompt = prompt[:-1]
    whole = [side[:1] and side[0].role != "assistant" for side in (chosen, rejected)]
    if all(whole):
        shared = _shared_turns(chosen, rejected)
        if not prompt or _asks_the_same(prompt, chosen[:shared]):
            prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
    elif prompt:  # one of them may repeat the prompt, and the other be a text
        chosen, rejected = (side[len(prompt) :] if _same(side[: len(prompt)], prompt) else side for side in (chosen, rejected))  # fmt: skip
    for field, side, other in (("chosen", chosen, rejected), ("rejected", rejected, chosen)):
        if not side:
            code = Code.ROW_FIELD_EMPTY if other else Code.ROW_SIDES_EQUAL
            raise RowError(code, field=columns[field])
        if side[0].role != "assistant":
            raise RowError(Code.ROW_PROMPTS_DIFFER, field=columns[field], value=side[0].content[:80])
    if [_said(turn) for turn in chosen] == [_said(turn) for turn in rejected]:
        raise RowError(Code.ROW_SIDES_EQUAL, field=columns["rejected"])
    asked = [turn.model_copy(update={"train": False}) for turn in prompt]
    return asked + [_trained(turn) for turn in chosen], [_trained(turn) for turn in rejected]


def label_of(values: Mapping[str, object], columns: Mapping[str, str]) -> bool | None:
    """Return whether a row's answer is marked as desired; None if nothing marks it."""
    for name, known in _MARKS.items():
        if name in values and name not in columns.values():
            found = known.get(str(values[name]).strip().lower())
            if found is not None:
                return found
    return None


def _side(values: dict[str, object], field: str, cells: Cells) -> list[Message]:
    """Return one answer: a text, one turn, or a whole conversation that ends with it."""
    found = values.get(field)
    if isinstance(found, dict):
        if not any(key in found for key in ("role", "from")):
            text_key = next((key for key in TEXT_KEYS if key in found), "content")
            return [Message(role="assistant", content=cells.text(found, text_key, field, answer=True), train=True)]
        message = message_of(found, field, cells)
        return [message] if message is not None else []
    if isinstance(found, list):
        return messages_of(found, field, cells)
    text = cells.text(values, field, answer=True)
    if turns := transcript_of(text):
        return messages_of(turns, field, cells)
    if _TURNS.match(text):
        return messages_of(as_list(text, field, "list_of_turns"), field, cells)
    return [Message(role="assistant", content=without_edges(text), train=True)]


def _shared_turns(chosen: list[Message], rejected: list[Message]) -> int:
    """Return how many turns both conversations begin with."""
    count = 0
    for one, other in zip(chosen, rejected, strict=False):
        if not _same([one], [other]):
            break
        count += 1
    return count


def _same(one: list[Message], other: list[Message]) -> bool:
    plain = {"train": False}
    return [turn.model_copy(update=plain) for turn in one] == [turn.model_copy(update=plain) for turn in other]


def _asks_the_same(prompt: list[Message], turns: list[Message]) -> bool:
    """Return whether turns end with the question of a prompt, which may leave out the system turn."""
    return bool(turns) and turns[-1].role == prompt[-1].role and turns[-1].content.strip() == prompt[-1].content.strip()


def _said(turn: Message) -> Message:
    return turn.model_copy(update={"content": turn.content.strip(), "train": False})


def _trained(turn: Message) -> Message:
    return turn.model_copy(update={"train": turn.role == "assistant"})
