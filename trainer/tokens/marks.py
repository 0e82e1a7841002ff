"""Which tokens of a conversation a run trains on: its choice between reasoning and answers, and between roles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tokenizers import Encoding

from interfaces.config import FineTuneConfig
from interfaces.example import Example, Message

Span = tuple[int, int]
"""A range of characters."""
_CLOSES = "</think>"


class HasMarks(Protocol):
    """What says which tokens are trained on: a config, or a request about one."""

    train_on_reasoning: bool
    assistant_only_loss: bool


@dataclass(frozen=True)
class Marks:
    """Whether the assistant's reasoning is trained on, and whether all other turns are as well."""

    reasoning: bool = True
    all_turns: bool = False

    @classmethod
    def of(cls, asked: HasMarks) -> Marks:
        return cls(asked.train_on_reasoning, not asked.assistant_only_loss)

    @classmethod
    def of_run(cls, config: FineTuneConfig) -> Marks:
        """Return the marks of a run. Methods that compare answers train on nothing else."""
        found = cls.of(config)
        return found if config.method == "sft" else cls(found.reasoning)


def marked_spans(marks: Marks, text: str, spans: Sequence[Span], example: Example) -> list[Span]:
    """Return the ranges to train on of a rendered conversation, from those of its trained turns."""
    if marks.all_turns:
        if marks.reasoning:
            return [(0, len(text))]
        thoughts = [
            (start, begin) for start, end in spans for begin in [_answer_start(text, start, end, example.messages)]
        ]
        return _between(len(text), thoughts)
    if marks.reasoning:
        return list(spans)
    answers = ((_answer_start(text, start, end, example.messages), end) for start, end in spans)
    return [(start, end) for start, end in answers if start < end]


def _between(length: int, left_out: Iterable[Span]) -> list[Span]:
    found, place = [], 0
    for start, end in left_out:
        found.append((place, start))
        place = end
    return [(start, end) for start, end in [*found, (place, length)] if start < end]


def _answer_start(text: str, start: int, end: int, messages: Iterable[Message]) -> int:
    """Return where the answer of a turn begins: after its reasoning, if it has any.

    The reasoning is found by its own text, because each family of models marks it in another way. An empty block that a
    template writes on its own stays with the answer.
    """
    for message in messages:
        reasoning, answer = reasoning_of(message)
        at = text.find(reasoning, start, end) if reasoning else -1
        if at < 0:
            continue
        after = at + len(reasoning)
        begin = text.find(answer, after, end) if answer else -1
        if begin >= 0:
            return begin
        if not answer:  # only calls follow
            closed = text.find(_CLOSES, after, end)
            after = closed + len(_CLOSES) if closed >= 0 else after
            return after + len(text[after:end]) - len(text[after:end].lstrip())
    return start


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
