"""A model's own chat template, run for one conversation: in transformers' sandbox, and not for ever.

What a template can't do is done for it, and said: one that writes no tool calls gets them as text, in the form that
most open models know (<tool_call>), and one that writes no reasoning gets it as <think> before the answer.
"""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Required, TypedDict

import jinja2
from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import render_jinja_template

from interfaces.errors import FineTuneError
from interfaces.example import Example, Message, ToolCall
from interfaces.problems import Code


class Function(TypedDict):
    """What is called; `arguments` are an object."""

    name: str
    arguments: Any


class FunctionCall(TypedDict, total=False):
    """A call of an assistant's turn."""

    type: Required[str]
    function: Required[Function]
    id: str


class ChatMessage(TypedDict, total=False):
    """A turn as chat templates take it. A key without a value is left out: some templates ask for its presence."""

    role: Required[str]
    content: Required[str]
    reasoning_content: str
    tool_calls: list[FunctionCall]
    name: str
    tool_call_id: str


Messages = list[ChatMessage]
Tools = list[dict[str, object]]
"""JSON schemas of functions."""

RENDER_SECONDS = 1.0
"""A template that takes more processor time for one row is ended: an endless loop is no template."""
_HARD_SECONDS = 1.5
"""After so much the process itself is ended, for a loop inside of C code, where no exception arrives."""
MOST_GROWTH = 50
"""A template that writes more than so many times what it was given, and 200,000 characters, is refused."""
_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
_PROBE_CALL: FunctionCall = {
    "type": "function",
    "function": {"name": "probe_function", "arguments": {"probe_key": "probe_value"}},
}
_ID_FORMS = {
    "any": re.compile(r".+", re.DOTALL),
    "functions": re.compile(r"functions\.[\w.-]+:\d+"),
    "letters": re.compile(r"[A-Za-z0-9]{9}"),
}
"""Ids of calls that templates write or demand: of any form, functions.NAME:NUMBER (Kimi), nine letters or digits (Mistral)."""
_PROBE_ID = "call_probe-id"
_PROBE_TOOLS: Tools = [
    {"type": "function", "function": {"name": "probe_function", "description": "", "parameters": {"type": "object", "properties": {"probe_key": {"type": "string"}}}}}
]  # fmt: skip


class TemplateTooSlow(Exception):
    """The template was ended after `RENDER_SECONDS`."""


class Renderer:
    """Renders conversations for one model."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, model_name: str) -> None:
        self.tokenizer, self.model_name = tokenizer, model_name
        with time_limit(model_name, 0):
            self.id_form, self.demands_ids, self.writes_tools = self._tool_calls()
            self.writes_reasoning = self._shows_thinking(
                {"role": "assistant", "content": "a", "reasoning_content": "probe_reasoning"}
            )
            self.keeps_thinking = self._shows_thinking(
                {"role": "assistant", "content": "<think>\nprobe_reasoning\n</think>\n\na"}
            )
            self.takes_system = self._takes([{"role": "system", "content": "probe"}, {"role": "user", "content": "q"}])
            self.takes_two_questions = self._takes(
                [{"role": "user", "content": "q"}, {"role": "user", "content": "probe"}]
            )
        self.marks_generation = bool(_GENERATION.search(self._template(None)))

    def messages(self, example: Example) -> tuple[Messages, Tools | None, set[Code], list[int]]:
        """The conversation as the template takes it, the tools, what had to be done for the template, and which of the
        conversation's turns each of the example's has become."""
        done: set[Code] = set()
        tools: Tools | None = list(example.tools) or None
        has_tools = bool(tools) or any(message.tool_calls or message.role == "tool" for message in example.messages)
        # A result needs its call's id where the template demands ids, and a call that is written as text has none.
        has_calls = any(message.tool_calls for message in example.messages)
        unanswerable = self.demands_ids and not has_calls and any(one.role == "tool" for one in example.messages)
        by_hand = has_tools and (not self.writes_tools or unanswerable)
        if by_hand:
            done.add(Code.TEMPLATE_WITHOUT_TOOLS)
        messages: Messages = []
        for message in example.messages:
            made = _as_dict(message)
            if message.reasoning and not self.writes_reasoning and self.keeps_thinking:
                done.add(Code.TEMPLATE_WITHOUT_REASONING)
                made.pop("reasoning_content", None)
                made["content"] = f"<think>\n{message.reasoning}\n</think>\n\n{made['content']}"
            messages.append(_with_calls_as_text(made) if by_hand else made)
        places = list(range(len(messages)))
        if by_hand:
            messages, places = _with_results_together(messages, example, self.takes_two_questions)
            written = _with_tools_as_text(messages, tools, self.takes_system)
            shift = len(written) - len(messages)  # tools may have brought a system turn of their own
            messages, tools, places = written, None, [place + shift for place in places]
        elif self.id_form is not None and with_call_ids(messages, self.id_form):
            done.add(Code.TEMPLATE_CALL_IDS)
        return messages, tools, done, places

    def render(
        self, messages: Sequence[ChatMessage], tools: Tools | None = None, row: int = 0, answer_next: bool = False
    ) -> str:
        """The conversation as text.

        Raises:
            FineTuneError: the template refuses it, or takes too long.
        """
        return self._run(messages, tools, row, answer_next, marked=False)[0]

    def render_marked(
        self, messages: Sequence[ChatMessage], tools: Tools | None, row: int
    ) -> tuple[str, list[tuple[int, int]]]:
        """The conversation, and the character ranges that the template itself marks as generated."""
        return self._run(messages, tools, row, False, marked=True)

    def _run(
        self, messages: Sequence[ChatMessage], tools: Tools | None, row: int, answer_next: bool, marked: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        try:
            with time_limit(self.model_name, row):
                texts, ranges = render_jinja_template(
                    [list(messages)], tools=tools, chat_template=self._template(tools), add_generation_prompt=answer_next,
                    return_assistant_tokens_mask=marked, **self.tokenizer.special_tokens_map,
                )  # fmt: skip
        except (
            jinja2.TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            MemoryError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            reason = str(error)[:200] or type(error).__name__
            raise FineTuneError.of(Code.TEMPLATE_REFUSED, model=self.model_name, row=row, reason=reason) from error
        text = str(texts[0])
        if len(text) > 200_000 and len(text) > MOST_GROWTH * len(str(messages)) + MOST_GROWTH * len(str(tools)):
            found = {"reason": "template_explodes", "seen": len(text)}
            raise FineTuneError.of(Code.TEMPLATE_REFUSED, model=self.model_name, row=row, **found)
        return text, [(int(start), int(end)) for start, end in ranges[0]] if marked else []

    def _template(self, tools: Tools | None) -> str:
        return str(self.tokenizer.get_chat_template(tools=tools))

    def _tool_calls(self) -> tuple[str | None, bool, bool]:
        """The form of ids that the template writes, whether it fails without, and whether it writes calls at all."""
        for form in (None, *_ID_FORMS):
            if self._writes_tools(form):
                return (form, True, True) if form else ("any" if self._writes_ids() else None, False, True)
        return None, False, False

    def _writes_ids(self) -> bool:
        return self._takes(
            [{"role": "user", "content": "q"}, {"role": "assistant", "content": "", "tool_calls": [{**_PROBE_CALL, "id": _PROBE_ID}]}],
            _PROBE_ID,
        )  # fmt: skip

    def _writes_tools(self, id_form: str | None) -> bool:
        """Whether tools, a call, its arguments and its result all come out of the template; some name a call by its id."""
        talk: Messages = [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "", "tool_calls": [_PROBE_CALL.copy()]},
            {"role": "tool", "name": "probe_function", "content": "probe_result"},
            {"role": "assistant", "content": "a"},
        ]
        if id_form is not None:
            with_call_ids(talk, id_form)
        try:
            text, bare = (
                self.render(talk, _PROBE_TOOLS),
                self.render([*talk[:2], {**talk[2], "name": "other"}, talk[3]]),
            )
        except FineTuneError:
            return False
        return (
            all(word in text for word in ("probe_function", "probe_value", "probe_result"))
            and text != bare
            and all(word in bare for word in ("probe_function", "probe_value"))
        )

    def _shows_thinking(self, answer: ChatMessage) -> bool:
        talk: Messages = [{"role": "user", "content": "q"}, answer]
        try:
            return "probe_reasoning" in self.render(talk)
        except FineTuneError:
            return False

    def _takes(self, talk: Messages, shown: str = "probe") -> bool:
        try:
            return shown in self.render(talk)
        except FineTuneError:
            return False


def _as_dict(message: Message) -> ChatMessage:
    """A message as chat templates know it; keys that say nothing are left out, since some templates ask for presence."""
    made: ChatMessage = {"role": message.role, "content": message.content}
    if message.reasoning:
        made["reasoning_content"] = message.reasoning
    if message.tool_calls:
        made["tool_calls"] = [_as_call(call) for call in message.tool_calls]
    if message.name:
        made["name"] = message.name
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    return made


def _as_call(call: ToolCall) -> FunctionCall:
    made: FunctionCall = {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    if call.id:
        made["id"] = call.id
    return made


def with_call_ids(messages: Messages, form: str) -> bool:
    """Give every call and every result an id of the form that the template demands; whether any was missing or other.

    A call keeps an id of that form. Results follow their call's id, or the order of the calls where they name none.
    """
    changed, count = False, 0
    taken = {call.get("id") for message in messages for call in message.get("tool_calls", ())}
    new_ids: dict[str, str] = {}
    waiting: list[str] = []
    for message in messages:
        for call in message.get("tool_calls", ()):
            own = call.get("id")
            if own is None or not _ID_FORMS[form].fullmatch(own):
                changed = True
                name = call["function"]["name"]
                while (new := _new_id(form, name, count)) in taken:
                    count += 1
                call["id"] = new
            if own is not None:
                new_ids[own] = call["id"]
            waiting.append(call["id"])
            count += 1
        if message["role"] == "tool":
            own = message.get("tool_call_id")
            wanted = new_ids.get(own) if own is not None else None
            if wanted is None and waiting:
                wanted = waiting[0]
            if wanted is not None:
                changed = changed or own != wanted
                message["tool_call_id"] = wanted
                waiting = [one for one in waiting if one != wanted]
    return changed


def _new_id(form: str, name: str, count: int) -> str:
    """An id of the form that a template writes; the one of any form is none of nine letters, which others demand."""
    return {"any": f"call_{count:05d}", "functions": f"functions.{name}:{count}", "letters": f"call{count:05d}"}[form]


def _with_calls_as_text(message: ChatMessage) -> ChatMessage:
    if message["role"] == "tool":
        content = message["content"]
        written = content if "<tool_response>" in content else f"<tool_response>\n{content}\n</tool_response>"
        return {"role": "user", "content": written}
    calls = message.pop("tool_calls", [])
    lines = [f"<tool_call>\n{json.dumps(call['function'], ensure_ascii=False)}\n</tool_call>" for call in calls]
    return {**message, "content": "\n".join(part for part in [message["content"], *lines] if part)}


def _with_results_together(
    messages: Messages, example: Example, takes_two_questions: bool
) -> tuple[Messages, list[int]]:
    """Results in a row as one turn, as Hermes writes them, with a question behind them where no two may follow each other.

    Also which turn each message has become.
    """
    made: Messages = []
    places: list[int] = []
    previous = ""
    for message, source in zip(messages, example.messages, strict=True):
        ours = source.role == "tool" and previous in ("tool", *(() if takes_two_questions else ("user",)))
        follows = source.role == "user" and previous == "tool" and not takes_two_questions
        if ours or follows:
            made[-1] = {**made[-1], "content": f"{made[-1]['content']}\n{message['content']}"}
        else:
            made.append(message)
        places.append(len(made) - 1)
        previous = source.role
    return made, places


def _with_tools_as_text(messages: Messages, tools: Tools | None, takes_system: bool) -> Messages:
    if not tools:
        return messages
    listed = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    text = (
        f"You may call these functions:\n<tools>\n{listed}\n</tools>\n"
        'Call one by writing <tool_call>\n{"name": its name, "arguments": {...}}\n</tool_call>'
    )
    if messages[0]["role"] == "system":
        return [{**messages[0], "content": f"{messages[0]['content']}\n\n{text}"}, *messages[1:]]
    if takes_system:
        return [{"role": "system", "content": text}, *messages]
    # A template that refuses a system turn is not given one: the tools stand before the first question.
    first = next((number for number, message in enumerate(messages) if message["role"] == "user"), 0)
    asked: ChatMessage = {**messages[first], "content": f"{text}\n\n{messages[first]['content']}"}
    return [*messages[:first], asked, *messages[first + 1 :]]


@contextmanager
def time_limit(model: str, row: int) -> Iterator[None]:
    """Bound the processor time of the block, or of the outermost of nested ones. In the main thread, where signals
    arrive; a child that renders has no other.

    Raises:
        FineTuneError: it took more than `RENDER_SECONDS`.
    """
    outermost = (
        threading.current_thread() is threading.main_thread() and signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0
    )
    if not outermost:
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise TemplateTooSlow

    previous = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, RENDER_SECONDS)
    signal.setitimer(signal.ITIMER_PROF, _HARD_SECONDS)
    try:
        yield
    except TemplateTooSlow:
        limit = f"{RENDER_SECONDS:g} s"
        raise FineTuneError.of(Code.TEMPLATE_TOO_SLOW, model=model, row=row, limit=limit) from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
