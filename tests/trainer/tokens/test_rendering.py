"""Hostile templates and cells: nothing gets out of the sandbox, and nothing takes for ever."""

import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from interfaces.errors import FineTuneError
from interfaces.example import Example, Message
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
def test_a_hostile_template_gets_nowhere(tokenizer: Any, template: str) -> None:
    text = outcome(tokenizer, template, talk("Hi", "Hello"))
    for secret in ("root:", "subprocess", "uid=", "<module", "site-packages"):
        assert secret not in text


def test_every_hostile_cell_comes_out_as_it_went_in(tokenizer: Any) -> None:
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
