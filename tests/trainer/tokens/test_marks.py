"""What a run trains on, by its settings: reasoning or not, one role or all."""

from pathlib import Path

import pytest

from interfaces.config import FineTuneConfig
from interfaces.example import Example, Message, ToolCall

pytestmark = pytest.mark.tiny
THINKS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ m.content }}{% for call in m.tool_calls or [] %}<tool_call>{{ call.function.name }}{{ call.function.arguments }}</tool_call>{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"  # fmt: skip
CHANNELS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}[analysis]{{ m.reasoning_content }}[final]{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"  # fmt: skip


def trained(tiny_model: Path, template: str, example: Example, **settings: object) -> str:
    """Return the text that is trained on."""
    from transformers import AutoTokenizer

    from trainer.tokens.marks import Marks
    from trainer.tokens.template import ChatTemplate

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = template
    marks = Marks.of(FineTuneConfig(**settings))  # type: ignore[arg-type]
    made = ChatTemplate(tokenizer, "tiny").with_marks(marks).tokens(example)
    return str(tokenizer.decode(made.ids[made.trained]))


def asked(**answer: object) -> Example:
    turns = (Message(role="user", content="q"), Message(role="assistant", train=True, **answer))  # type: ignore[arg-type]
    return Example(messages=turns, row=1)


@pytest.mark.parametrize(
    ("template", "answer", "all_of_it"),
    [
        (THINKS, {"content": "Four.", "reasoning": "Two and two."}, "<think>\nTwo and two.\n</think>\n\nFour.<|im_end|>"),
        (THINKS, {"content": "<think>\nTwo and two.\n</think>\n\nFour."}, "<think>\nTwo and two.\n</think>\n\nFour.<|im_end|>"),
        (CHANNELS, {"content": "Four.", "reasoning": "Two and two."}, "[analysis]Two and two.[final]Four.<|im_end|>"),
        (THINKS, {"content": "Four."}, "Four.<|im_end|>"),
    ],
)  # fmt: skip
def test_reasoning_is_context_where_only_answers_are_trained_on(
    tiny_model: Path, template: str, answer: dict[str, object], all_of_it: str
) -> None:
    assert trained(tiny_model, template, asked(**answer)) == all_of_it
    assert trained(tiny_model, template, asked(**answer), train_on_reasoning=False) == "Four.<|im_end|>"


def test_calls_after_reasoning_are_answers(tiny_model: Path) -> None:
    example = asked(content="", reasoning="Look it up.", tool_calls=(ToolCall(name="find", arguments={"a": 1}),))
    found = trained(tiny_model, THINKS, example, train_on_reasoning=False)
    assert found.startswith("<tool_call>")
    assert "find" in found
    assert "Look" not in found


def test_all_turns_are_trained_on_by_choice(tiny_model: Path) -> None:
    example = asked(content="Four.", reasoning="Two and two.")
    everything = (
        "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n<think>\nTwo and two.\n</think>\n\nFour.<|im_end|>\n"
    )
    assert trained(tiny_model, THINKS, example, assistant_only_loss=False) == everything
    without = trained(tiny_model, THINKS, example, assistant_only_loss=False, train_on_reasoning=False)
    assert without == "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nFour.<|im_end|>\n"


def test_pairs_are_compared_by_their_answers_alone(tiny_model: Path) -> None:
    example = asked(content="Four.")
    settings = {"method": "dpo", "assistant_only_loss": False}
    assert trained(tiny_model, THINKS, example, **settings) == "Four.<|im_end|>"


def test_each_turn_loses_its_own_reasoning(tiny_model: Path) -> None:
    talk = [("Let me compute.", "4"), ("Let me compute. 2+2=4, times 3 is 12.", "12"), ("I think so.", "think")]
    turns = [
        message
        for thought, answer in talk
        for message in (
            Message(role="user", content="q"),
            Message(role="assistant", content=answer, reasoning=thought, train=True),
        )
    ]
    found = trained(tiny_model, THINKS, Example(messages=tuple(turns), row=1), train_on_reasoning=False)
    assert found == "4<|im_end|>12<|im_end|>think<|im_end|>"
