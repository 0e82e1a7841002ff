"""Examples become tokens and labels, by the model's own chat template.

What is learned: the text of each trained assistant turn and the end-of-turn token after it. What is only
read (label -100): system and user turns, the headers between turns, and the line break that some templates
write after the end-of-turn token, since generation has stopped by then.

A turn's place is found by rendering the conversation up to it. Some templates rewrite earlier turns (they
drop old thinking, say), so that this rendering is no beginning of the whole one; then only the last answer is
trained, as the whole conversation shows it, and the run says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jinja2
from transformers import PreTrainedTokenizerBase

from interfaces.example import Example, Message
from interfaces.problems import Code, FineTuneError

READ_ONLY = -100
"""The label that torch's cross-entropy ignores."""
_MARGIN = 64
"""Characters that a template may write between a turn's header and its content, as an empty thinking block."""


@dataclass(frozen=True)
class Tokens:
    """One example for the model: `input_ids` and `labels` have the same length."""

    input_ids: list[int]
    labels: list[int]
    row: int
    full_length: int
    """Tokens before cutting at max_length."""

    @property
    def trained(self) -> int:
        """How many tokens are learned; the first token has nothing before it to be predicted from."""
        return sum(label != READ_ONLY for label in self.labels[1:])


@dataclass
class Findings:
    """What was noticed over a whole dataset, for the warnings of the run."""

    rewritten: int = 0
    without_end: int = 0
    cut: list[int] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    longest: int = 0


@dataclass(frozen=True)
class _Rendered:
    text: str
    spans: list[tuple[int, int]]
    """Character ranges of what is learned."""
    rewritten: bool
    without_end: bool


class ChatTemplate:
    """Renders and tokenises conversations for one model."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, model_name: str) -> None:
        self.tokenizer, self.model_name = tokenizer, model_name
        self._ends = sorted(_end_tokens(tokenizer), key=len, reverse=True)

    def prompt_ids(self, prompt: str) -> list[int]:
        """A user's question, ready to be answered."""
        text = self._render([{"role": "user", "content": prompt}], 0, answer_next=True)
        return self._encode(text)["input_ids"]

    def tokens(self, example: Example, max_length: int, findings: Findings | None = None) -> Tokens:
        """The example as tokens with labels, cut at `max_length` from the right."""
        rendered = self._rendered(example)
        encoded = self._encode(rendered.text, offsets=True)
        ids: list[int] = encoded["input_ids"]
        labels = [READ_ONLY] * len(ids)
        for index, (start, end) in enumerate(encoded["offset_mapping"]):
            # A token is learned when it begins inside a learned range; an empty one (a prefix) never is.
            if end > start and any(low <= start < high for low, high in rendered.spans):
                labels[index] = ids[index]
        tokens = Tokens(ids[:max_length], labels[:max_length], example.row, len(ids))
        if findings is not None:
            findings.rewritten += rendered.rewritten
            findings.without_end += rendered.without_end
            findings.longest = max(findings.longest, len(ids))
            if len(ids) > max_length:
                findings.cut.append(example.row)
            if tokens.trained == 0:
                findings.left_out.append(example.row)
        return tokens

    def _rendered(self, example: Example) -> _Rendered:
        messages = [_as_dict(message) for message in example.messages]
        text = self._render(messages, example.row)
        spans: list[tuple[int, int]] = []
        without_end = rewritten = False
        last_trained = max(index for index, message in enumerate(example.messages) if message.train)
        for index, message in enumerate(example.messages):
            if not message.train:
                continue
            head = self._render(messages[:index], example.row, answer_next=True) if index else ""
            start = len(head) if text.startswith(head) else len(text)
            if not _stands_at(text, start, message.content):
                rewritten = True
                # Where an answer really stands in the whole text is only sure for the last one.
                start = max(text.rfind(message.content.strip()), 0) or start
            following = self._render(messages[: index + 1], example.row)
            stop = len(following) if text.startswith(following) else len(text)
            end, found = self._end_of_turn(text, start, stop, message.content)
            without_end |= not found
            spans.append((start, end))
        if rewritten:
            spans = spans[-1:]
        if without_end and last_trained == len(messages) - 1 and self.tokenizer.eos_token:
            # The model has to learn to stop: give the last answer an end of its own.
            start, _ = spans[-1]
            text = text.rstrip() + self.tokenizer.eos_token
            spans[-1] = (start, len(text))
        return _Rendered(text, spans, rewritten, without_end)

    def _end_of_turn(self, text: str, start: int, stop: int, content: str) -> tuple[int, bool]:
        """Where the turn that starts at `start` ends, its end token included; and whether there was one."""
        # The content itself may hold an end token's text: look behind it, where the template speaks again.
        trimmed = content.strip()
        inside = text.find(trimmed, start, stop) if trimmed else -1
        after = inside + len(trimmed) if inside >= 0 else start
        found = [(at, token) for token in self._ends if (at := text.find(token, after, stop)) >= 0]
        if not found:
            return stop, False
        at, token = min(found, key=lambda pair: (pair[0], -len(pair[1])))
        return at + len(token), True

    def _render(self, messages: Sequence[dict[str, Any]], row: int, answer_next: bool = False) -> str:
        try:
            text = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=answer_next)
        except (jinja2.TemplateError, TypeError, KeyError) as error:
            raise FineTuneError.of(
                Code.TEMPLATE_REFUSED, model=self.model_name, row=row, reason=str(error)[:200]
            ) from error
        return str(text)

    def _encode(self, text: str, offsets: bool = False) -> Any:
        # The template has written all special tokens already.
        return self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=offsets)


def _stands_at(text: str, start: int, content: str) -> bool:
    """Whether the turn that starts at `start` holds its content whole; a template may put a little before it."""
    trimmed = content.strip()
    return text.find(trimmed, start, start + len(trimmed) + _MARGIN) >= 0


def _as_dict(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": message.content}


def _end_tokens(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """Special tokens that end a turn: the tokenizer's own, and those that families use beside it."""
    known = {
        "<|im_end|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<end_of_turn>",
        "<|end|>",
        "<|return|>",
        "<|endoftext|>",
        "</s>",
    }
    vocabulary = set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab())
    return (known & vocabulary) | ({tokenizer.eos_token} if tokenizer.eos_token else set())


def tokenize(template: ChatTemplate, examples: Sequence[Example], max_length: int, findings: Findings) -> list[Tokens]:
    """All examples that have something left to learn; the others are counted in `findings`."""
    made = (template.tokens(example, max_length, findings) for example in examples)
    return [tokens for tokens in made if tokens.trained > 0]
