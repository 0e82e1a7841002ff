"""Hostile templates and cells: nothing gets out of the sandbox, and nothing takes for ever."""

import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from interfaces.errors import FineTuneError
from interfaces.example import Example, Message, ToolCall
from interfaces.problems import Code
from tests.conftest import CHATML
from tests.support.fuzz import CELLS, TEMPLATES

pytestmark = pytest.mark.tiny
MOST_SECONDS = 20.0
"""Of processor time, with room for a slow machine: without the limit of a second a hostile template takes for ever."""


@pytest.fixture(autouse=True)
def this_process_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last resort ends the process, which is a child of its own where it matters."""
    monkeypatch.setattr("trainer.tokens.rendering._HARD_SECONDS", 60.0)


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def talk(question: str, answer: str) -> Example:
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer, train=True))
    return Example(messages=messages, row=1)


def with_template(tokenizer: Any, template: str) -> Any:
    from trainer.tokens.template import ChatTemplate

    tokenizer.chat_template = template
    return ChatTemplate(tokenizer, "hostile")


def outcome(tokenizer: Any, template: str, example: Example) -> str:
    """What comes out: text, or a sentence. Anything else fails the test that asks."""
    begun = time.process_time()
    try:
        made = with_template(tokenizer, template).tokens(example)
        text, code = str(made.rendered.text), None
    except FineTuneError as error:
        text, code = str(error), error.problems[0].code
    assert code in (None, Code.TEMPLATE_REFUSED, Code.TEMPLATE_TOO_SLOW)
    assert time.process_time() - begun < MOST_SECONDS, template[:100]
    return text


@pytest.mark.parametrize("template", TEMPLATES)
def test_hostile_template_is_contained(tokenizer: Any, template: str) -> None:
    text = outcome(tokenizer, template, talk("Hi", "Hello"))
    for secret in ("root:", "subprocess", "uid=", "<module", "site-packages"):
        assert secret not in text


def test_hostile_cells_stay_unchanged(tokenizer: Any) -> None:
    for question, answer in itertools.product(CELLS, CELLS):
        if question and answer:
            text = outcome(tokenizer, CHATML, talk(question, answer))
            assert question in text
            assert answer in text


def test_a_template_in_a_cell_is_text(tokenizer: Any) -> None:
    assert "{{ 7*7 }}" in outcome(tokenizer, CHATML, talk("{{ 7*7 }}", "49?"))


def test_the_render_limit_is_a_problem_that_names_the_row(tokenizer: Any) -> None:
    slow = "{% if messages | length == 3 %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{% endif %}"
    template = with_template(tokenizer, CHATML + slow)
    example = talk("Hi", "Hello")
    longer = example.model_copy(update={"messages": (*example.messages, Message(role="user", content="x")), "row": 17})
    assert len(template.tokens(example).ids) > 0
    begun = time.process_time()
    with pytest.raises(FineTuneError) as raised:
        template.tokens(longer)
    assert time.process_time() - begun < MOST_SECONDS
    assert (raised.value.problems[0].code, raised.value.problems[0].params["row"]) == (Code.TEMPLATE_TOO_SLOW, 17)


CALLS_BY_ID = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'tool' %}Return of {{ m.tool_call_id }}\n{% endif %}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<call>{{ c.id }}:{{ c.function.arguments | tojson }}</call>{% endfor %}<|im_end|>\n{% endfor %}"
)
"""As Kimi's: a call is named by its id alone, and a missing one is nothing."""
IDS_BESIDE_NAMES = CALLS_BY_ID.replace("{{ c.id }}:", "{{ c.id }}={{ c.function.name }}:")
ALTERNATING = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}"
    "{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def two_calls(first: str | None, second: str | None) -> Example:
    """Two calls of one function, answered the other way round."""
    calls = tuple(ToolCall(name="go", arguments={"n": n}, id=own) for n, own in ((1, first), (2, second)))
    messages = (
        Message(role="user", content="q"),
        Message(role="assistant", content="", train=True, tool_calls=calls),
        Message(role="tool", content="two", tool_call_id=second),
        Message(role="tool", content="one", tool_call_id=first),
        Message(role="assistant", content="done", train=True),
    )
    return Example(messages=messages, row=1)


@pytest.mark.parametrize(
    ("template", "ids", "expected"),
    [
        (CALLS_BY_ID, ("call_A", "call_B"), ("functions.go:0", "functions.go:1")),
        (CALLS_BY_ID, ("functions.go:7", "functions.go:0"), ("functions.go:7", "functions.go:0")),
        (CALLS_BY_ID, (None, "functions.go:0"), ("functions.go:1", "functions.go:0")),
        (IDS_BESIDE_NAMES, ("123", "124"), ("123=go", "124=go")),
        (IDS_BESIDE_NAMES, (None, None), ("call_00000=go", "call_00001=go")),
    ],
)
def test_call_ids_match_the_template_and_are_trained(
    tokenizer: Any, template: str, ids: tuple[str | None, str | None], expected: tuple[str, str]
) -> None:
    rendered = with_template(tokenizer, template).tokens(two_calls(*ids)).rendered
    trained = "".join(rendered.text[start:end] for start, end in rendered.spans)
    for one in expected:
        assert f"<call>{one}:" in trained
    if ids[1] is not None:
        own = [one.partition("=")[0] for one in expected]
        assert rendered.text.index(f"Return of {own[1]}\ntwo") < rendered.text.index(f"Return of {own[0]}\none")


def test_results_in_a_row_are_one_turn_where_roles_must_alternate(tokenizer: Any) -> None:
    rendered = with_template(tokenizer, ALTERNATING).tokens(two_calls("a", "b")).rendered
    assert "<tool_response>\ntwo\n</tool_response>\n<tool_response>\none\n</tool_response><|im_end|>" in rendered.text
    trained = [rendered.text[start:end] for start, end in rendered.spans]
    assert [text.count("<tool_call>") for text in trained] == [2, 0]
    assert trained[1].startswith("done")
