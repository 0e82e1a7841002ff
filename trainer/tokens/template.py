"""Converts examples to tokens and marks the tokens to train on.

Trained on: the text of each trained assistant turn (including its reasoning and tool calls) and the end-of-turn token
after it. Context: system, user, and tool turns, the headers between turns, and the line break that some templates
write after the end-of-turn token, since generation has stopped by then. Plain text is trained on completely.

If a template marks generated text ({% generation %}), these marks are used. Otherwise a turn is located by rendering
the conversation again with another answer: the common text before and after it is not the answer. Unlike methods that
render prefixes of a conversation, this works for the many families that render a prefix differently, because they
drop earlier thinking or end the last turn in another way. A turn that isn't rendered completely is context, because
no model would have written it that way, and the run reports the number of such rows.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy
import numpy.typing
from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from interfaces.errors import FineTuneError
from interfaces.example import Example, Message
from interfaces.problems import Code
from trainer.tokens.marks import Marks, marked_spans, token_range
from trainer.tokens.rendering import ChatMessage, FunctionCall, Messages, Renderer, Tools, time_limit

_MARGIN = 96
"""The most characters between a turn's header and its answer in a template, such as an empty thinking block."""
_OTHER = "§QX7§"
"""A placeholder for another answer, which no template should treat differently from plain text."""
_EMPTY_THOUGHT = re.compile(r"<think>\s*</think>")
_ENDS = (
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|return|>", "<|call|>", "<|endoftext|>",
    "<|eot|>", "<turn|>", "<|END_OF_TURN_TOKEN|>", "<|end_of_text|>", "</s>",
)  # fmt: skip
"""End-of-turn tokens of various families, in addition to the tokenizer's."""


@dataclass(frozen=True)
class Rendered:
    """One rendered example. `spans` are the character ranges to train on."""

    text: str
    spans: list[tuple[int, int]]
    whole_turns: bool = True
    """False if a turn to train on isn't rendered completely, and so becomes context."""
    ends: bool = True
    """False if the template writes no end-of-turn token after a trained turn."""
    stops: bool = True
    """False if no end-of-turn token is trained on, because the template's marks exclude it."""
    done: frozenset[Code] = frozenset()
    """The codes of emulated template features, and of warnings about the row."""
    plain: bool = False
    owners: tuple[int, ...] = ()
    """The place of the turn that each range belongs to."""


@dataclass(frozen=True)
class Tokens:
    """One tokenized example before truncation: ids, and for each one whether it is trained on."""

    ids: numpy.typing.NDArray[numpy.int32]
    trained: numpy.typing.NDArray[numpy.bool_]
    rendered: Rendered
    encoding: Encoding = field(repr=False)


class ChatTemplate:
    """Renders and tokenizes examples for one model. `end_ids` are the ids at which the model itself stops (`stop_ids`)."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, model_name: str, end_ids: Sequence[int] = ()) -> None:
        self.tokenizer, self.model_name = tokenizer, model_name
        self.marks = Marks()
        self.renderer = Renderer(tokenizer, model_name)
        vocabulary = set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab())
        own = {tokenizer.eos_token, *(tokenizer.convert_ids_to_tokens(token) for token in end_ids)}
        self.ends = sorted({end for end in own if end} | (vocabulary & set(_ENDS)), key=len, reverse=True)
        self.prompt = self._generation_prompt()
        self.end = self._answer_end()
        self.end_id = tokenizer.convert_tokens_to_ids(self.end) if self.end else None
        """The token that ends each answer, and its id; None if the template writes none."""
        self.stop_ids = tuple(end_ids)
        # We truncate and pad ourselves, but a tokenizer.json may enable both.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        self.text_begin = self._text_begin()
        special = [
            token.content
            for token in tokenizer.added_tokens_decoder.values()
            if token.special and len(token.content) > 2
        ]
        self._special = (
            re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True)))) if special else None
        )

    def with_marks(self, marks: Marks) -> ChatTemplate:
        """Return the template with another choice of what is trained on."""
        other = copy.copy(self)
        other.marks = marks
        return other

    def prompt_ids(self, prompt: str) -> list[int]:
        """Return the token ids of a user prompt, ready for generation."""
        return self.conversation_ids(Example(messages=(Message(role="user", content=prompt),), row=0))

    def conversation_ids(self, example: Example) -> list[int]:
        """Return the token ids of a conversation, ready for the next answer.

        Raises:
            FineTuneError: the template rejects it, or takes too long.
        """
        messages, tools, _, _ = self.renderer.messages(example)
        text = self.renderer.render(messages, tools, example.row, answer_next=True)
        ids: list[int] = self._encode([text])[0].ids
        return ids

    def text_ids(self, text: str) -> list[int]:
        """Return the token ids of a plain text to be continued, as such texts are trained on."""
        ids: list[int] = self._encode([self.text_begin + text])[0].ids
        return ids

    def tokens(self, example: Example) -> Tokens:
        """Tokenize one example.

        Raises:
            FineTuneError: the template rejects it.
        """
        return self.batch([self.rendered(example)])[0]

    def batch(self, rendered: Sequence[Rendered]) -> list[Tokens]:
        """Tokenize many rendered examples together."""
        return [
            self._tokens(one, encoding)
            for one, encoding in zip(rendered, self._encode([one.text for one in rendered]), strict=True)
        ]

    def _encode(self, texts: list[str]) -> list[Encoding]:
        # The template has already written all special tokens.
        encoded: list[Encoding] = self.tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
        return encoded

    def _tokens(self, rendered: Rendered, encoding: Encoding) -> Tokens:
        ids = numpy.array(encoding.ids, dtype=numpy.int32)
        trained = numpy.zeros(len(ids), dtype=numpy.bool_)
        for start, end in rendered.spans:
            first, last = token_range(encoding, start, end)
            trained[first:last] = True
        return Tokens(ids, trained, rendered, encoding)

    def rendered(self, example: Example) -> Rendered:
        """Render one example as text, with the ranges to train on.

        Raises:
            FineTuneError: the template rejects it, or takes too long.
        """
        if example.text is not None:
            made = self._plain(example.text)
        else:
            with time_limit(self.model_name, example.row):
                made = self._conversation(example)
            turns = [example.messages[place] for place in made.owners]
            made = replace(made, spans=marked_spans(self.marks, made.text, made.spans, turns))
        noticed = set(made.done)
        if self._holds_special(example):
            noticed.add(Code.ROWS_HOLD_SPECIAL)
        if any(_EMPTY_THOUGHT.search(made.text, start, end) for start, end in made.spans):
            noticed.add(Code.EMPTY_THINKING)
        return replace(made, done=frozenset(noticed))

    def _holds_special(self, example: Example) -> bool:
        """Return whether the row's texts contain something that the tokenizer parses as a special token."""
        texts = (example.text, *(text for one in example.messages for text in (one.content, one.reasoning)))
        return self._special is not None and any(text and self._special.search(text) for text in texts)

    def _conversation(self, example: Example) -> Rendered:
        messages, tools, done, places = self.renderer.messages(example)
        trained = [index for index, message in enumerate(example.messages) if message.train]
        turns = _Turns(self, messages, tools, example.row)
        if self.renderer.marks_generation:
            text, marked = self.renderer.render_marked(messages, tools, example.row)
            answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
            wanted = {places[index] for index in trained}
            owned = [(span, owner) for owner, span in turns.owned(text, marked, answers) if owner in wanted]
            spans = [span for span, _ in owned]
            stops = any(end in text[start:stop] for start, stop in spans for end in self.ends)
            owners = tuple(next(index for index in trained if places[index] == owner) for _, owner in owned)
            return Rendered(text, spans, stops=stops or not spans, done=frozenset(done), owners=owners)
        found = [turns.place(places[index]) for index in trained]
        text, spans = turns.text, [span for span, _ in found if span is not None]
        ends = all(ended for span, ended in found if span is not None)
        last_ended = found[-1][1] if found else True
        last = trained[-1] == len(example.messages) - 1
        if spans and last and found[-1][0] is not None and not last_ended and self.tokenizer.eos_token:
            # The model must learn to stop, so add an end token to the last answer.
            start, _ = spans[-1]
            text = text.rstrip() + self.tokenizer.eos_token
            spans[-1] = (start, len(text))
        owners = tuple(index for index, (span, _) in zip(trained, found, strict=True) if span is not None)
        return Rendered(text, spans, len(spans) == len(found), ends, done=frozenset(done), owners=owners)

    def _plain(self, text: str) -> Rendered:
        begin, end = self.text_begin, self.tokenizer.eos_token or ""
        whole = begin + text + end
        return Rendered(whole, [(len(begin), len(whole))], plain=True, ends=bool(end))

    def _text_begin(self) -> str:
        """Return the special tokens that the tokenizer puts before plain text, such as BOS."""
        probe = self.tokenizer.backend_tokenizer.encode("x", add_special_tokens=True)
        marks: list[int] = probe.special_tokens_mask
        return "".join(probe.tokens[: marks.index(0)]) if 0 in marks else ""

    def _answer_end(self) -> str | None:
        """Return the end token that the template writes after an answer."""
        try:
            text = self.renderer.render([{"role": "user", "content": "q"}, {"role": "assistant", "content": _OTHER}])
        except FineTuneError:
            return None
        behind = text.rpartition(_OTHER)[2].lstrip()
        return next((end for end in self.ends if behind.startswith(end)), None)

    def _generation_prompt(self) -> str:
        """Return the template's generation prompt."""
        talk: Messages = [{"role": "user", "content": "q"}]
        try:
            without, with_prompt = self.renderer.render(talk), self.renderer.render(talk, answer_next=True)
        except FineTuneError:
            return ""
        return with_prompt[_shared(without, with_prompt) :]


class _Turns:
    """Locates the turns of one conversation in its rendered text."""

    def __init__(self, template: ChatTemplate, messages: Messages, tools: Tools | None, row: int) -> None:
        self._template, self._messages, self._tools, self._row = template, messages, tools, row
        self.text = self._render(messages)

    def _render(self, messages: Messages, answer_next: bool = False) -> str:
        return self._template.renderer.render(messages, self._tools, self._row, answer_next)

    def place(self, index: int) -> tuple[tuple[int, int] | None, bool]:
        """Return a turn's range with its end token (None if it isn't rendered completely), and whether it has one."""
        first, stop = self._answer(index)
        if first < 0:
            return None, True
        start = self._begin(index, first)
        end, ended = self._end(index, start, stop)
        shown = self.text[start:end]
        if any(shown.count(part) < times for part, times in _parts(self._messages[index]).items()):
            return None, True
        return (start, end), ended

    def _answer(self, index: int) -> tuple[int, int]:
        """Return the range of the turn's own text, or (-1, -1) if it isn't rendered at all."""
        message = self._messages[index]
        if message.get("tool_calls"):
            return self._answer_of_calls(index, message)
        other = self._render_with(index, _said_otherwise(message))
        at = other.find(_OTHER)
        if at < 0:
            return -1, -1
        rest = other[other.rfind(_OTHER) + len(_OTHER) :]
        before, after = _common(self.text, other)
        stop = len(self.text) - len(rest) if self.text.endswith(rest) else len(self.text) - after
        return min(at, before), max(stop, min(at, before))

    def _answer_of_calls(self, index: int, message: ChatMessage) -> tuple[int, int]:
        """Locate a turn with calls like `_answer`. It starts at the first position that any of its parts changes."""
        calls = message["tool_calls"]
        other = self._render_with(index, {**message, "tool_calls": _with_calls(calls, arguments={_OTHER: _OTHER})})
        first, after = _common(self.text, other)
        # A template may reject some of these, such as a result without a call. Then the others must suffice.
        others: tuple[ChatMessage | None, ...] = (
            {**message, "tool_calls": _with_calls(calls, name=_OTHER)},
            {"role": message["role"], "content": _OTHER},
            _said_otherwise(message) if message["content"] or "reasoning_content" in message else None,
        )
        for changed in others:
            if changed is not None:
                with contextlib.suppress(FineTuneError):
                    first = min(first, _shared(self.text, self._render_with(index, changed)))
        return first, max(len(self.text) - after, first)

    def _render_with(self, index: int, message: ChatMessage) -> str:
        return self._render([*self._messages[:index], message, *self._messages[index + 1 :]])

    def _begin(self, index: int, first: int) -> int:
        """Return where generation of the turn begins: after its header."""
        if index:
            try:
                head = self._render(self._messages[:index], answer_next=True)
            except FineTuneError:
                head = ""
            if head and len(head) <= first and self.text.startswith(head):
                return len(head)
        prompt = self._template.prompt
        while prompt:
            at = self.text.rfind(prompt, 0, first)
            start = at + len(prompt)
            if at >= 0 and first - start <= _MARGIN:
                return start
            # Some generation prompts open a thinking block that earlier turns don't show: use the header before it.
            prompt = prompt[: prompt.rstrip("\n").rfind("\n") + 1]
        return first

    def _end(self, index: int, start: int, stop: int) -> tuple[int, bool]:
        """Return where the turn ends, including its end token, and whether there is one."""
        bound = len(self.text)
        calls = bool(self._messages[index].get("tool_calls"))
        if calls and index + 1 < len(self._messages):
            following = str(self._messages[index + 1]["content"]).strip()
            at = self.text.find(following, stop) if following else -1
            bound = at if at >= 0 else bound
        found = [
            (at, token) for token in self._template.ends if (at := self.text.find(token, max(stop, start), bound)) >= 0
        ]
        if not found:
            return (self._end_of_calls(index, stop) if calls else stop), False
        at, token = min(found, key=lambda pair: (pair[0], -len(pair[1])))
        if not calls and self.text[stop:at].strip():
            return stop, False  # this token ends something else, later in the text
        return at + len(token), True

    def _end_of_calls(self, index: int, stop: int) -> int:
        """Return where calls without an end token end, by rendering the conversation up to this turn."""
        head = self._render(self._messages[: index + 1]).rstrip()
        for end in self._template.ends:
            head = head.removesuffix(end)
        return len(head) if len(head) >= stop and self.text.startswith(head) else stop

    def owned(self, text: str, marked: list[tuple[int, int]], answers: list[int]) -> list[tuple[int, tuple[int, int]]]:
        """Return the marked ranges, each with the index of its turn."""
        if len(marked) == len(answers):
            return list(zip(answers, marked, strict=True))
        begins = [(self._answer(index)[0], index) for index in answers]
        return [
            (max(((at, index) for at, index in begins if 0 <= at < end), default=(0, answers[0]))[1], (start, end))
            for start, end in marked
        ]


def _said_otherwise(message: ChatMessage) -> ChatMessage:
    """Return the message with every text replaced."""
    changed: ChatMessage = {**message, "content": _OTHER}
    if "</think>" in message["content"]:
        changed["content"] = f"<think>\n{_OTHER}\n</think>\n\n{_OTHER}"
    if "reasoning_content" in message:
        changed["reasoning_content"] = _OTHER
    return changed


def _with_calls(calls: list[FunctionCall], **changed: Any) -> list[FunctionCall]:
    return [{**call, "function": {**call["function"], **changed}} for call in calls]  # type: ignore[typeddict-item]


def _parts(message: ChatMessage) -> Counter[str]:
    """Count the texts that a rendered turn must contain: reasoning, answer, and function names.

    They are separate, because templates change the spacing between them."""
    content = message["content"]
    parts = [message.get("reasoning_content", "")]
    if "</think>" in content:
        thought, _, content = content.rpartition("</think>")
        parts.append(thought.replace("<think>", ""))
    parts += [call["function"]["name"] for call in message.get("tool_calls", ())]
    return Counter(part.strip() for part in [*parts, content] if part.strip())


def _common(text: str, other: str) -> tuple[int, int]:
    """Return the lengths of the common prefix and suffix of two texts, without overlap."""
    before = _shared(text, other)
    after = _shared(text[before:][::-1], other[before:][::-1])
    return before, after


def _shared(text: str, other: str) -> int:
    """Return the length of the common prefix by binary search: comparing slices is faster than characters."""
    low, high = 0, min(len(text), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if text[low:middle] == other[low:middle] else (low, middle - 1)
    return low
