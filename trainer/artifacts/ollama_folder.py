"""The Modelfile of Ollama: the chat template rewritten for Go's `text/template`, and where an answer ends.

What the template writes around each turn is found by rendering conversations. It is used only if it gives the same text
as the template for five conversations; otherwise Ollama has to recognize the template in the GGUF file.
(https://docs.ollama.com/modelfile)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Self

from interfaces.errors import FineTuneError
from interfaces.files import write_text
from trainer.artifacts.merged_folder import ends_of
from trainer.tokens.rendering import ChatMessage
from trainer.tokens.template import ChatTemplate

MODELFILE = "Modelfile"
_SYSTEM, _QUESTION, _ANSWER, _NEXT = "§system§", "§question§", "§answer§", "§next§"
Turns = Sequence[tuple[str, str]]
"""Roles and contents."""
TALKS: tuple[Turns, ...] = (
    [("user", "Hello")],
    [("system", "Be kind."), ("user", "Hello")],
    [("user", "Hello"), ("assistant", "Hi!"), ("user", "How are you?")],
    [("system", "Be\n\nkind."), ("user", "你好"), ("assistant", "您好 ✨"), ("user", "Why?")],
    [("user", "def f(x):\n    return {{ x }}  # \"twice\" 'or' <b>"), ("assistant", "1.\n\n- 2"), ("user", "{% if %}"), ("assistant", "`"), ("user", "?")],
)  # fmt: skip
"""The conversations that have to come out the same; each is to be answered. No content begins or ends with white space,
which some templates remove and Ollama does not."""


@dataclass(frozen=True)
class ChatShape:
    """What a chat template writes before and after each turn's content, and before an answer.

    A system prompt stands in the head (`system` around it, instead of `head`), or in the first or the last question.
    """

    head: str
    system: tuple[str, str]
    place: Literal["head", "first", "last"]
    user: tuple[str, str]
    assistant: tuple[str, str]
    answer: str

    @classmethod
    def of(cls, template: ChatTemplate) -> Self | None:
        """Return the shape of a template, or None if it does more than to write texts around turns."""
        renderer = template.renderer

        def write(turns: Turns, answer_next: bool = True) -> str:
            talk: list[ChatMessage] = [{"role": role, "content": content} for role, content in turns]
            return renderer.render(talk, answer_next=answer_next)

        if "strftime_now" in str(template.tokenizer.chat_template):
            return None  # it writes today's date
        talks = [talk for talk in TALKS if renderer.takes_system or talk[0][0] != "system"]
        try:
            shape = cls._learned(write, renderer.takes_system)
            return shape if all(shape.render(talk) == write(talk) for talk in talks) else None
        except (FineTuneError, ValueError):
            return None

    @classmethod
    def _learned(cls, write: Callable[..., str], takes_system: bool) -> Self:
        """
        Raises:
            ValueError: the texts around turns depend on where they stand.
        """
        talk = [("user", _QUESTION), ("assistant", _ANSWER), ("user", _NEXT)]
        begin, first, second, end = _cut(write(talk), _QUESTION, _ANSWER, _NEXT)
        question_end = _cut(write(talk[:1], False), _QUESTION)[1]
        answer_end = _cut(write(talk[:2], False), _QUESTION, _ANSWER)[2]
        question = _without(second, answer_end, "")
        shape = partial(
            cls,
            head=_without(begin, "", question), user=(question, question_end),
            assistant=(_without(first, question_end, ""), answer_end), answer=_without(end, question_end, ""),
        )  # fmt: skip
        if not takes_system:  # as most templates that have no turn for it do
            return shape(system=("", "\n\n"), place="first")
        text = write([("system", _SYSTEM), *talk])
        if text.find(_SYSTEM) > text.find(_ANSWER):
            *_, before, after, _ = _cut(text, _QUESTION, _ANSWER, _SYSTEM, _NEXT)
            return shape(system=(_without(before, second, ""), after), place="last")
        before, after, *_ = _cut(text, _SYSTEM, _QUESTION, _ANSWER, _NEXT)
        if question and after.endswith(question):
            return shape(system=(before, _without(after, "", question)), place="head")
        return shape(system=(_without(before, begin, ""), after), place="first")

    def render(self, talk: Turns) -> str:
        """Return what `template` gives in Ollama for a conversation that is to be answered."""
        system = next((content for role, content in talk if role == "system"), "")
        spoken = [turn for turn in talk if turn[0] != "system"]
        held = f"{self.system[0]}{system}{self.system[1]}" if system else ""
        text = held if held and self.place == "head" else self.head
        for at, (role, content) in enumerate(spoken):
            before, after = self.user if role == "user" else self.assistant
            holds = role == "user" and at == {"head": -1, "first": 0, "last": len(spoken) - 1}[self.place]
            text += f"{before}{held if holds else ''}{content}{after}"
        return text + self.answer

    def template(self) -> str | None:
        """Return the template in the language of Go's `text/template`, with Ollama's variables.

        None if one of its texts would end the text there.
        """
        texts = [self.head, *self.system, *self.user, *self.assistant, self.answer]
        if any("{{" in text or '"""' in text for text in texts):
            return None
        held = f"{self.system[0]}{{{{ $system }}}}{self.system[1]}"
        in_question = {
            "head": "", "first": f'{{{{ if $system }}}}{held}{{{{ $system = "" }}}}{{{{ end }}}}',
            "last": f"{{{{ if and $last $system }}}}{held}{{{{ end }}}}",
        }[self.place]  # fmt: skip
        head = self.head
        if self.place == "head":
            head = f"{{{{ if $system }}}}{held}{{{{ else }}}}{self.head}{{{{ end }}}}"
        return (
            f"{{{{ $system := .System }}}}{head}{{{{ range $at, $turn := .Messages }}}}"
            "{{ $last := eq (len (slice $.Messages $at)) 1 }}"
            f'{{{{ if eq $turn.Role "user" }}}}{self.user[0]}{in_question}{{{{ $turn.Content }}}}{self.user[1]}'
            f"{{{{ if $last }}}}{self.answer}{{{{ end }}}}"
            f'{{{{ else if eq $turn.Role "assistant" }}}}{self.assistant[0]}{{{{ $turn.Content }}}}'
            f"{{{{ if not $last }}}}{self.assistant[1]}{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}"
        )


def write_modelfile(folder: Path, weights: str, template: ChatTemplate) -> bool:
    """Write the Modelfile beside the file `weights`. Return whether it holds a chat template."""
    shape, ends = ChatShape.of(template), template.tokenizer.convert_ids_to_tokens(ends_of(template))
    written = shape.template() if shape else None
    lines = [f"# ollama create my-model -f {MODELFILE}", f"FROM ./{weights}"]
    if written is not None:
        lines.append(f'TEMPLATE """{written}"""')
    lines += [f"PARAMETER stop {json.dumps(end, ensure_ascii=False)}" for end in ends if end]
    write_text(folder / MODELFILE, "\n".join(lines) + "\n")
    return written is not None


def _cut(text: str, *marks: str) -> list[str]:
    """Return what stands around marks that each have to occur once, in this order."""
    parts = []
    for mark in marks:
        before, found, text = text.partition(mark)
        if not found or mark in text:
            raise ValueError("a turn is missing, or written twice")
        parts.append(before)
    return [*parts, text]


def _without(text: str, before: str, after: str) -> str:
    if not (text.startswith(before) and text.endswith(after) and len(text) >= len(before) + len(after)):
        raise ValueError("a turn is written in another way at another place")
    return text[len(before) : len(text) - len(after)]
