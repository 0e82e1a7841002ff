"""Renders one conversation with a model's chat template, in transformers' sandbox and with a time limit.

Missing features of a template are emulated, with a warning. If it can't write tool calls, they are inserted as text in
the most common format (<tool_call>). If it can't write reasoning, it is inserted as <think> before the answer.
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
"""The CPU time limit of a template per row, to stop endless loops."""
_HARD_SECONDS = 1.5
"""After this much CPU time the process is killed, for a loop inside C code, where no exception can interrupt it."""
MOST_GROWTH = 50
"""A template that writes more than this multiple of its input, and more than 200,000 characters, is rejected."""
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
"""The formats of call ids in templates: any, functions.NAME:NUMBER (Kimi), or nine letters or digits (Mistral)."""
_PROBE_ID = "call_probe-id"
_PROBE_TOOLS: Tools = [
    {"type": "function", "function": {"name": "probe_function", "description": "", "parameters": {"type": "object", "properties": {"probe_key": {"type": "string"}}}}}
]  # fmt: skip


class TemplateTooSlow(Exception):
    """The template exceeded `RENDER_SECONDS`."""


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
        """Convert an example to (turns, tools, codes, places) for the template.

        `codes` are the emulated features, `places` the index of the turn that each message has become."""
        done: set[Code] = set()
        tools: Tools | None = list(example.tools) or None
        has_tools = bool(tools) or any(message.tool_calls or message.role == "tool" for message in example.messages)
        # If the template requires ids, a result needs its call's id, but a call written as text has none.
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
            shift = len(written) - len(messages)  # the tools may have added a system turn
            messages, tools, places = written, None, [place + shift for place in places]
        elif self.id_form is not None and with_call_ids(messages, self.id_form):
            done.add(Code.TEMPLATE_CALL_IDS)
        return messages, tools, done, places

    def render(
        self, messages: Sequence[ChatMessage], tools: Tools | None = None, row: int = 0, answer_next: bool = False
    ) -> str:
        """Render the conversation as text.

        Raises:
            FineTuneError: the template rejects it, or takes too long.
        """
        return self._run(messages, tools, row, answer_next, marked=False)[0]

    def render_marked(
        self, messages: Sequence[ChatMessage], tools: Tools | None, row: int
    ) -> tuple[str, list[tuple[int, int]]]:
        """Render the conversation. Also return the character ranges that the template marks as generated."""
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
        """Return the template's id format, whether it requires ids, and whether it supports tool calls."""
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
        """Return whether the template writes tools, calls, arguments, and results. Some name a call by its id."""
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
    """Convert a message for chat templates. Empty keys are omitted, because some templates test for their presence."""
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
    """Give every call and result an id in the template's format. Return whether this changed anything.

    A call keeps an id that already has the format. A result takes its call's id, by its old id or else by order.
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
    """Return a new id in a template's format. The id for "any" never has the nine-letter format."""
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
    """Merge consecutive results into one turn, as in Hermes, and add a following question if roles must alternate.

    Also return the index of the turn that each message has become.
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
    # The template rejects system turns, so put the tools before the first question.
    first = next((number for number, message in enumerate(messages) if message["role"] == "user"), 0)
    asked: ChatMessage = {**messages[first], "content": f"{text}\n\n{messages[first]['content']}"}
    return [*messages[:first], asked, *messages[first + 1 :]]


@contextmanager
def time_limit(model: str, row: int) -> Iterator[None]:
    """Limit the CPU time of the block, or of the outermost nested one.

    This works only in the main thread, which gets the signals; a child that renders has no other thread.

    Raises:
        FineTuneError: the block exceeded `RENDER_SECONDS`.
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
