"""What is trained on, against references that know nothing of our way to find it: templates of well-known families from
an installed package, where it marks what is generated, and expectations written by hand where it doesn't."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy
import pytest

from interfaces.example import Example, Message, ToolCall
from interfaces.problems import Code

pytestmark = pytest.mark.tiny
trl = pytest.importorskip("trl", reason="not installed: make setup")
TEMPLATES = Path(trl.__file__).parent / "chat_templates"
SPECIAL = [
    "<|im_start|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<start_of_turn>", "<end_of_turn>", "<|end|>",
    "<|return|>", "<|call|>", "<|user|>", "<|assistant|>", "<|observation|>", "<|system|>", "<|START_OF_TURN_TOKEN|>",
    "<|END_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|start|>", "<|channel|>", "<|message|>", "<|turn>", "<turn|>", "[gMASK]", "<sop>",
]  # fmt: skip


def turn(role: str, content: str, **more: Any) -> Message:
    return Message(role=role, content=content, train=role == "assistant", **more)  # type: ignore[arg-type]


def call(**arguments: Any) -> tuple[ToolCall, ...]:
    return (ToolCall(name="get_weather", arguments=arguments),)


TOOLS = (
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather of a town.",
            "parameters": {"type": "object", "properties": {"town": {"type": "string", "description": "Its name."}}},
        },
    },
)
TALKS: dict[str, Example] = {
    "one turn": Example(messages=(turn("user", "Hi"), turn("assistant", "Hello.")), row=1),
    "turns": Example(
        messages=(turn("user", "Hi"), turn("assistant", "Hello."), turn("user", "Again?\n你好"), turn("assistant", "您好 ✨, 2 < 3")), row=1,
    ),
    "system": Example(messages=(turn("system", "Be kind."), turn("user", "Hi"), turn("assistant", "Hello.")), row=1),
    "the same answer twice": Example(
        messages=(turn("user", "Hi"), turn("assistant", "Yes"), turn("user", "Yes"), turn("assistant", "Yes")), row=1
    ),
    "thinking": Example(messages=(turn("user", "2+2?"), turn("assistant", "4", reasoning="Two and two.")), row=1),
    "a tool": Example(
        messages=(
            turn("user", "Weather in Rome?"), turn("assistant", "", tool_calls=call(town="Rome")),
            turn("tool", '{"sky": "clear"}', name="get_weather"), turn("assistant", "It is clear."),
        ),
        tools=TOOLS, row=1,
    ),
}  # fmt: skip
# family: (eos, talks that the family's template takes)
FAMILIES = {
    "qwen2_5": ("<|im_end|>", ["one turn", "turns", "system", "the same answer twice", "a tool"]),
    "qwen3": ("<|im_end|>", ["thinking"]),
    "qwen3_instruct_2507": ("<|im_end|>", ["one turn", "turns", "system", "the same answer twice", "a tool"]),
    "llama3": ("<|eot_id|>", ["one turn", "turns", "system", "the same answer twice"]),
    "gemma": ("<end_of_turn>", ["one turn", "turns", "the same answer twice"]),
    "gemma3": ("<end_of_turn>", ["one turn", "turns", "the same answer twice"]),
    "phi3": ("<|endoftext|>", ["one turn", "turns", "system", "the same answer twice"]),
    "phi3_5": ("<|endoftext|>", ["one turn", "turns", "system", "the same answer twice"]),
    "cohere": ("<|END_OF_TURN_TOKEN|>", ["one turn", "turns", "system", "the same answer twice"]),
    "lfm2": ("<|im_end|>", ["one turn", "turns", "system", "the same answer twice"]),
    "gptoss": ("<|return|>", ["one turn", "turns", "system", "the same answer twice", "thinking", "a tool"]),
}
PAIRS = [(family, talk) for family, (_, talks) in FAMILIES.items() for talk in talks]


@pytest.fixture(scope="module")
def tokenizer_of(tiny_model: Path):
    """A byte-level tokenizer whose special tokens are those of all families, with a template of one."""
    from transformers import AutoTokenizer

    def make(name: str, eos: str) -> Any:
        tokenizer = AutoTokenizer.from_pretrained(tiny_model)
        tokenizer.add_special_tokens({"bos_token": "<|begin_of_text|>", "additional_special_tokens": SPECIAL})
        tokenizer.add_special_tokens({"eos_token": eos})
        tokenizer.chat_template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
        return tokenizer

    return make


def template_of(tokenizer: Any, name: str) -> Any:
    from trainer.tokens.template import ChatTemplate

    return ChatTemplate(tokenizer, name)


def as_dicts(example: Example) -> list[dict[str, Any]]:
    """The conversation as transformers' own documentation writes it."""
    dicts = []
    for message in example.messages:
        made: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.reasoning:
            made["reasoning_content"] = message.reasoning
        if message.tool_calls:
            made["tool_calls"] = [
                {"type": "function", "function": {"name": one.name, "arguments": one.arguments}}
                for one in message.tool_calls
            ]
        if message.name:
            made["name"] = message.name
        dicts.append(made)
    return dicts


def marked(tokenizer: Any, example: Example) -> tuple[list[int], list[int]]:
    """Ids and the mask that transformers makes of a template's own marks."""
    found = tokenizer.apply_chat_template(
        as_dicts(example),
        tools=list(example.tools) or None,
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    return list(found["input_ids"]), list(found["assistant_masks"])


def pieces(tokenizer: Any, ids: list[int], mask: list[int]) -> list[str]:
    """The stretches that are trained on, as text."""
    cut = "".join("1" if learned else "0" for learned in mask)
    return [tokenizer.decode(ids[part.start() : part.end()]) for part in re.finditer("1+", cut)]


def learned(template: Any, example: Example) -> list[str]:
    made = template.tokens(example)
    return pieces(template.tokenizer, made.ids.tolist(), made.trained.tolist())


@pytest.mark.parametrize(("family", "talk"), PAIRS)
def test_template_generation_marks_are_used_exactly(tokenizer_of, family: str, talk: str) -> None:
    tokenizer = tokenizer_of(f"{family}_training", FAMILIES[family][0])
    ids, mask = marked(tokenizer, TALKS[talk])
    made = template_of(tokenizer, family).tokens(TALKS[talk])
    assert made.ids.tolist() == ids
    assert made.trained.astype(int).tolist() == mask
    assert sum(mask) > 0


@pytest.mark.parametrize(("family", "talk"), PAIRS)
def test_unmarked_template_trains_same_tokens_as_marked_version(tokenizer_of, family: str, talk: str) -> None:
    """The sister marks headers and line breaks too, here in one family and not in another: a generation begins behind the
    generation prompt and ends with the end token, so those are taken off before the two are compared."""
    plain = tokenizer_of(family, FAMILIES[family][0])
    ids, mask = marked(tokenizer_of(f"{family}_training", FAMILIES[family][0]), TALKS[talk])
    template = template_of(plain, family)
    made = template.tokens(TALKS[talk])
    assert made.ids.tolist() == ids, "the package's two templates write different texts"
    prompt = template.renderer.render([{"role": "user", "content": "q"}], answer_next=True).rpartition("q")[2]
    header = re.escape(prompt[prompt.rfind("<|start|>") :] if "<|start|>" in prompt else "\n")
    # Phi's conversation ends with a second end token, behind the one at which a generation has stopped.
    wanted = [
        re.sub(f"^{header}", "", piece).removesuffix("<|endoftext|>").strip("\n") for piece in pieces(plain, ids, mask)
    ]
    assert learned(template, TALKS[talk]) == [piece for piece in wanted if piece]


BY_HAND: dict[tuple[str, str], list[str]] = {
    # Qwen3 writes an empty block of thinking into the last turn only, and drops the thinking of earlier turns.
    ("qwen3", "one turn"): ["<think>\n\n</think>\n\nHello.<|im_end|>"],
    ("qwen3", "turns"): ["Hello.<|im_end|>", "<think>\n\n</think>\n\n您好 ✨, 2 < 3<|im_end|>"],
    ("qwen3", "system"): ["<think>\n\n</think>\n\nHello.<|im_end|>"],
    ("qwen3", "thinking"): ["<think>\nTwo and two.\n</think>\n\n4<|im_end|>"],
    ("qwen3", "a tool"): [
        '<tool_call>\n{"name": "get_weather", "arguments": {"town": "Rome"}}\n</tool_call><|im_end|>',
        "<think>\n\n</think>\n\nIt is clear.<|im_end|>",
    ],
    # GLM ends a turn with the header of the next one, which is among its end tokens.
    ("glm4moe", "turns"): ["\n<think></think>\nHello.<|user|>", "\n<think></think>\n您好 ✨, 2 < 3<|endoftext|>"],
    ("glm4moe", "thinking"): ["\n<think>Two and two.</think>\n4<|endoftext|>"],
    ("glm4moe", "a tool"): [
        "\n<think></think>\n<tool_call>get_weather\n<arg_key>town</arg_key>\n<arg_value>Rome</arg_value>\n</tool_call><|observation|>",
        "\n<think></think>\nIt is clear.<|endoftext|>",
    ],
    ("llama3_1", "a tool"): ['{"name": "get_weather", "parameters": {"town": "Rome"}}<|eot_id|>', "It is clear.<|eot_id|>"],
    ("gemma4_v5", "turns"): ["Hello.<turn|>", "您好 ✨, 2 < 3<turn|>"],
    ("deepseekv3", "turns"): ["Hello.<｜end▁of▁sentence｜>", "您好 ✨, 2 < 3<｜end▁of▁sentence｜>"],
}  # fmt: skip
ENDS = {"glm4moe": ("<|endoftext|>", ["<|user|>", "<|observation|>"]), "qwen3": ("<|im_end|>", []), "llama3_1": ("<|eot_id|>", []), "gemma4_v5": ("<turn|>", []), "deepseekv3": ("<｜end▁of▁sentence｜>", [])}  # fmt: skip


@pytest.mark.parametrize(("family", "talk"), BY_HAND)
def test_templates_without_marks_or_with_rewritten_history(tokenizer_of, family: str, talk: str) -> None:
    from trainer.tokens.template import ChatTemplate

    eos, others = ENDS[family]
    tokenizer = tokenizer_of(family, eos)
    template = ChatTemplate(tokenizer, family, [tokenizer.convert_tokens_to_ids(token) for token in others])
    assert learned(template, TALKS[talk]) == BY_HAND[family, talk]


@pytest.mark.parametrize("family", ["qwen3", "glm4moe", "gptoss", "gemma4_v5"])
def test_dropped_thinking_is_context_and_reported(tokenizer_of, family: str) -> None:
    example = Example(
        messages=(
            turn("user", "1?"), turn("assistant", "one", reasoning="first thought"),
            turn("user", "2?"), turn("assistant", "two", reasoning="second thought"),
        ),
        row=1,
    )  # fmt: skip
    template = template_of(tokenizer_of(family, ENDS.get(family, ("<|return|>", []))[0]), family)
    assert not template.rendered(example).whole_turns
    [only] = learned(template, example)
    assert "second thought" in only
    assert "one" not in only


@pytest.mark.parametrize("family", ["llama3", "gemma3", "phi3", "cohere", "lfm2"])
def test_template_without_tools_gets_them_as_text_with_warning(tokenizer_of, family: str) -> None:
    template = template_of(tokenizer_of(family, FAMILIES[family][0]), family)
    rendered = template.rendered(TALKS["a tool"])
    assert Code.TEMPLATE_WITHOUT_TOOLS in rendered.done
    assert '"description": "Weather of a town."' in rendered.text
    assert "<tool_response>\n" in rendered.text
    first, second = learned(template, TALKS["a tool"])
    assert first.startswith('<tool_call>\n{"name": "get_weather", "arguments": {"town": "Rome"}}\n</tool_call>')
    assert second.startswith("It is clear.")


@pytest.mark.parametrize("family", FAMILIES)
def test_turns_marked_untrained_are_context(tokenizer_of, family: str) -> None:
    """OpenAI's weight 0, with and without marks of the template's own."""
    example = TALKS["turns"]
    first = example.messages[1].model_copy(update={"train": False})
    silent = example.model_copy(update={"messages": (example.messages[0], first, *example.messages[2:])})
    for name in (family, f"{family}_training"):
        template = template_of(tokenizer_of(name, FAMILIES[family][0]), name)
        whole, some = learned(template, example), learned(template, silent)
        assert "Hello." in "".join(whole)
        assert "Hello." not in "".join(some)
        assert "您好" in "".join(some)


def test_mask_is_complete_for_long_multilingual_text(tokenizer_of) -> None:
    text = "Ωmega — 你好 🤷🏽‍♀️ e\u0301 \u200b العربية\n" * 40
    template = template_of(tokenizer_of("qwen2_5", "<|im_end|>"), "qwen2_5")
    example = Example(messages=(turn("user", text), turn("assistant", text)), row=1)
    [only] = learned(template, example)
    # Qwen's tokenizer composes characters; what it reads is compared, not how it was typed.
    assert only == unicodedata.normalize("NFC", text) + "<|im_end|>"
    made = template.tokens(example)
    assert numpy.flatnonzero(made.trained).tolist() == list(
        range(int(made.trained.argmax()), int(made.trained.argmax()) + int(made.trained.sum()))
    )


@pytest.mark.parametrize("family", ["nemotron_3_nano", "nemotron_3_super", "qwen3_5_think", "qwen3_5_nothink"])
def test_tool_call_is_trained_with_its_function_name(tokenizer_of, family: str) -> None:
    first, second = learned(template_of(tokenizer_of(family, "<|im_end|>"), family), TALKS["a tool"])
    assert "<tool_call>\n<function=get_weather>\n<parameter=town>\nRome\n" in first
    assert first.endswith("<|im_end|>")
    assert second.endswith("It is clear.<|im_end|>")


def test_turn_with_reasoning_and_call_is_trained_from_reasoning(tokenizer_of) -> None:
    talk = TALKS["a tool"]
    thinking = talk.messages[1].model_copy(update={"reasoning": "Look it up."})
    template = template_of(tokenizer_of("qwen3_5_nothink", "<|im_end|>"), "qwen3_5_nothink")
    first, _ = learned(template, talk.model_copy(update={"messages": (talk.messages[0], thinking, *talk.messages[2:])}))
    assert "Look it up." in first
    assert "<function=get_weather>" in first


def test_dropped_call_is_context_and_reported(tokenizer_of) -> None:
    talk = TALKS["a tool"]
    both = talk.messages[1].model_copy(
        update={"tool_calls": (*call(town="Rome"), ToolCall(name="get_time", arguments={}))}
    )
    template = template_of(tokenizer_of("gptoss", "<|return|>"), "gptoss")
    example = talk.model_copy(update={"messages": (talk.messages[0], both, *talk.messages[2:])})
    assert not template.rendered(example).whole_turns
    assert "get_weather" not in "".join(learned(template, example))
