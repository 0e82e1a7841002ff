"""Which tokens of a conversation a run trains on: its choice between reasoning and answers, and between roles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tokenizers import Encoding

from interfaces.example import Message

Span = tuple[int, int]
"""A range of characters."""
_CLOSES = "</think>"


class HasMarks(Protocol):
    """What says which tokens are trained on: a config, or a request about one."""

    @property
    def method(self) -> str: ...
    @property
    def train_on_reasoning(self) -> bool: ...
    @property
    def assistant_only_loss(self) -> bool: ...


@dataclass(frozen=True)
class Marks:
    """Whether the assistant's reasoning is trained on, and whether all other turns are as well."""

    reasoning: bool = True
    all_turns: bool = False

    @classmethod
    def of(cls, asked: HasMarks) -> Marks:
        """Return the marks of a run. Methods that compare answers train on nothing else."""
        return cls(asked.train_on_reasoning, asked.method == "sft" and not asked.assistant_only_loss)


def marked_spans(marks: Marks, text: str, spans: Sequence[Span], turns: Sequence[Message]) -> list[Span]:
    """Return the ranges to train on of a rendered conversation, from those of its trained turns."""
    if marks.reasoning:
        return [(0, len(text))] if marks.all_turns else list(spans)
    begins = [_answer_start(text, *span, turn) for span, turn in zip(spans, turns, strict=True)]
    if marks.all_turns:
        return _between(len(text), [(start, begin) for (start, _), begin in zip(spans, begins, strict=True)])
    answers = ((begin, end) for begin, (_, end) in zip(begins, spans, strict=True))
    return [(begin, end) for begin, end in answers if begin < end]


def _between(length: int, left_out: Iterable[Span]) -> list[Span]:
    found, place = [], 0
    for start, end in left_out:
        found.append((place, start))
        place = end
    return [(start, end) for start, end in [*found, (place, length)] if start < end]


def _answer_start(text: str, start: int, end: int, turn: Message) -> int:
    """Return where the answer of a turn begins: after its reasoning, if it has any.

    The reasoning is found by its own text, because each family of models marks it in another way. An empty block that a
    template writes on its own stays with the answer.
    """
    reasoning, answer = reasoning_of(turn)
    at = text.find(reasoning, start, end) if reasoning else -1
    if at < 0:
        return start
    after = at + len(reasoning)
    closed = text.find(_CLOSES, after, end)
    if closed >= 0 and not text[after:closed].strip():
        after = closed + len(_CLOSES)
    if answer and (begin := text.find(answer, after, end)) >= 0:
        return begin
    return after + len(text[after:end]) - len(text[after:end].lstrip())


def reasoning_of(message: Message) -> tuple[str, str]:
    """Return the reasoning and the answer of an assistant's turn; reasoning may be a part of its text."""
    content = message.content
    thought, closed, answer = content.rpartition(_CLOSES)
    if not closed or message.role != "assistant":
        return (message.reasoning or "").strip(), content.strip()
    return (message.reasoning or thought.replace("<think>", "")).strip(), answer.strip()


def token_range(encoding: Encoding, start: int, end: int) -> tuple[int, int]:
    """Return the tokens that overlap a character range, as (first, one after the last)."""
    first = last = None
    while start < end and first is None:
        first = encoding.char_to_token(start)
        start += first is None
    while end > start and last is None:
        last = encoding.char_to_token(end - 1)
        end -= last is None
    if first is None or last is None:
        return 0, 0
    # Train on a token that starts in the header and ends in the answer, or the answer would be incomplete.
    # A character may need several tokens, which all have the same position.
    place, count = encoding.token_to_chars(last), len(encoding.ids)
    while last + 1 < count and encoding.token_to_chars(last + 1) == place:
        last += 1
    return first, last + 1
