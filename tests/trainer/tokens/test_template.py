"""What is trained on, token by token: the answers and their end, nothing else."""

from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.example import Example, Message, ToolCall
from interfaces.problems import Code
from tests.conftest import CHATML, make_tiny_model

pytestmark = pytest.mark.tiny

LLAMA3 = (
    "{{ '<|begin_of_text|>' }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim"
    " + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
NO_END = (
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
FORGETS_THINKING = (
    "{% for m in messages %}{% set text = m['content'] if loop.last else m['content'].split('</think>')[-1] %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + text + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
STRICT = "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system turns here') }}{% endif %}{% endfor %}"


def conversation(*turns: tuple[str, str], row: int = 1) -> Example:
    messages = tuple(Message(role=role, content=text, train=role == "assistant") for role, text in turns)  # type: ignore[arg-type]
    return Example(messages=messages, row=row)


def chat_template(folder: Path, template: str, special: tuple[str, ...] = ()):
    from transformers import AutoTokenizer

    from trainer.tokens.template import ChatTemplate

    tokenizer = AutoTokenizer.from_pretrained(make_tiny_model(folder, template))
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    return ChatTemplate(tokenizer, "tiny")


def learned(template, example: Example) -> list[str]:
    """The stretches of text that are trained."""
    tokens = template.tokens(example)
    stretches: list[list[int]] = [[]]
    for token, trained in zip(tokens.ids.tolist(), tokens.trained.tolist(), strict=True):
        if trained:
            stretches[-1].append(token)
        else:
            stretches.append([])
    return [template.tokenizer.decode(stretch) for stretch in stretches if stretch]


MULTI_TURN = (
    ("system", "Be kind."),
    ("user", "Hi"),
    ("assistant", "Hello"),
    ("user", "你好"),
    ("assistant", "您好 ✨"),
)


def test_chatml_trains_each_answer_with_its_end_but_no_line_break(tmp_path: Path) -> None:
    assert learned(chat_template(tmp_path, CHATML), conversation(*MULTI_TURN)) == [
        "Hello<|im_end|>",
        "您好 ✨<|im_end|>",
    ]


def test_llama_3_style(tmp_path: Path) -> None:
    template = chat_template(
        tmp_path, LLAMA3, ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    )
    assert learned(template, conversation(*MULTI_TURN)) == ["Hello<|eot_id|>", "您好 ✨<|eot_id|>"]


def test_answer_repeating_the_question_is_located_correctly(tmp_path: Path) -> None:
    template = chat_template(tmp_path, CHATML)
    assert learned(template, conversation(("user", "echo"), ("assistant", "echo"))) == ["echo<|im_end|>"]


def test_untrained_turn_is_context(tmp_path: Path) -> None:
    template = chat_template(tmp_path, CHATML)
    example = conversation(*MULTI_TURN)
    untrained = example.messages[2].model_copy(update={"train": False})
    messages = (*example.messages[:2], untrained, *example.messages[3:])
    assert learned(template, example.model_copy(update={"messages": messages})) == ["您好 ✨<|im_end|>"]


def test_a_template_without_an_end_token_gets_one(tmp_path: Path) -> None:
    template = chat_template(tmp_path, NO_END)
    example = conversation(("user", "Hi"), ("assistant", "Hello"))
    assert not template.rendered(example).ends
    assert learned(template, example)[-1].endswith("Hello<|im_end|>")


def test_marks_without_end_token_are_obeyed_and_reported(tmp_path: Path) -> None:
    marked = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% if m['role'] == 'assistant' %}{% generation %}"
        "{{ m['content'] }}{% endgeneration %}{% else %}{{ m['content'] }}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    )
    example = conversation(("user", "Hi"), ("assistant", "Hello"))
    template = chat_template(tmp_path / "without", marked)
    assert learned(template, example) == ["Hello"]
    assert not template.rendered(example).stops
    assert chat_template(tmp_path / "with", CHATML).rendered(example).stops


def test_a_template_that_rewrites_history_trains_only_whole_answers(tmp_path: Path) -> None:
    template = chat_template(tmp_path, FORGETS_THINKING)
    turns = (("user", "1"), ("assistant", "<think>a</think>one"), ("user", "2"), ("assistant", "<think>b</think>two"))
    assert not template.rendered(conversation(*turns)).whole_turns
    assert learned(template, conversation(*turns)) == ["<think>b</think>two<|im_end|>"]


def test_a_template_that_refuses_a_row_names_it(tmp_path: Path) -> None:
    template = chat_template(tmp_path, STRICT)
    with pytest.raises(FineTuneError) as raised:
        template.tokens(conversation(*MULTI_TURN, row=17))
    problem = raised.value.problems[0]
    assert (problem.code, problem.params["row"]) == (Code.TEMPLATE_REFUSED, 17)
    assert "no system turns here" in problem.params["reason"]


def test_a_hostile_template_does_not_get_out_of_its_sandbox(tmp_path: Path) -> None:
    template = chat_template(tmp_path, "{{ ''.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(FineTuneError) as raised:
        template.tokens(conversation(("user", "Hi"), ("assistant", "Hello")))
    assert raised.value.problems[0].code == Code.TEMPLATE_REFUSED


def test_sample_prompt_matches_training_rows(tmp_path: Path) -> None:
    template = chat_template(tmp_path, CHATML)
    prompt = template.prompt_ids("Hi")
    row = template.tokens(conversation(("user", "Hi"), ("assistant", "Hello")))
    assert row.ids[: len(prompt)].tolist() == prompt


NINE = (
    "{% for m in messages %}{% if m.tool_calls %}{% for c in m.tool_calls %}{% if c.id is not defined or c.id | length != 9 %}"
    "{{ raise_exception('ids of nine letters') }}{% endif %}{{ '[CALL]' + c.id + ' ' + c.function.name + c.function.arguments | tojson + '<|im_end|>' }}{% endfor %}"
    "{% elif m.role == 'tool' %}{% if m.tool_call_id is not defined or m.tool_call_id | length != 9 %}{{ raise_exception('ids of nine letters') }}{% endif %}"
    "{{ '[RESULT]' + m.tool_call_id + ' ' + m.content }}{% else %}{{ m.role + ': ' + m.content + '<|im_end|>' }}{% endif %}{% endfor %}"
    "{% if tools %}{{ '[TOOLS]' + tools | tojson }}{% endif %}"
)
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def with_a_call(call_id: str | None, result_id: str | None) -> Example:
    return Example(
        messages=(
            Message(role="user", content="Weather?"),
            Message(role="assistant", content="", train=True, tool_calls=(ToolCall(name="weather", id=call_id),)),
            Message(role="tool", content="4 degrees", tool_call_id=result_id),
            Message(role="assistant", content="Four.", train=True),
        ),
        tools=(TOOL,), row=1,
    )  # fmt: skip


@pytest.mark.parametrize("ids", [("a1B2c3D4e", "a1B2c3D4e"), ("call_123", "call_123"), (None, None)])
def test_a_template_that_demands_ids_of_calls_gets_them(tmp_path: Path, ids: tuple[str | None, str | None]) -> None:
    rendered = chat_template(tmp_path, NINE).rendered(with_a_call(*ids))
    wanted = ids[0] if ids[0] == "a1B2c3D4e" else "call00000"
    assert f"[CALL]{wanted} weather" in rendered.text
    assert f"[RESULT]{wanted} 4 degrees" in rendered.text
    assert (Code.TEMPLATE_CALL_IDS in rendered.done) is (ids[0] != "a1B2c3D4e")
    assert Code.TEMPLATE_WITHOUT_TOOLS not in rendered.done


def test_tools_go_into_the_first_question_of_a_template_without_system(tmp_path: Path) -> None:
    strict = CHATML.replace(
        "{% for message in messages %}",
        "{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('no') }}{% endif %}",
    )
    template = chat_template(tmp_path, strict)
    rendered = template.rendered(with_a_call(None, None))
    assert rendered.text.startswith("<|im_start|>user\nYou may call these functions:\n<tools>")
    assert "Weather?" in rendered.text
    assert "Four.<|im_end|>" in learned(template, with_a_call(None, None))


FORGETS_ALL_THINKING = FORGETS_THINKING.replace("m['content'] if loop.last else ", "")


def test_hidden_thinking_is_not_reported_as_written(tmp_path: Path) -> None:
    template = chat_template(tmp_path, FORGETS_ALL_THINKING)
    asked = Message(role="user", content="2+2?")
    apart = Example(messages=(asked, Message(role="assistant", content="4", train=True, reasoning="Add.")), row=1)
    inside = conversation(("user", "2+2?"), ("assistant", "<think>\nAdd.\n</think>\n\n4"))
    for example in (apart, inside):
        rendered = template.rendered(example)
        assert Code.TEMPLATE_WITHOUT_REASONING not in rendered.done
        assert not rendered.whole_turns


def test_a_plain_text_begins_as_the_tokenizer_begins_it(tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    template = chat_template(tmp_path, CHATML, ("<s>",))
    tokenizer = template.tokenizer
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.convert_tokens_to_ids("<s>"))]
    )
    again = type(template)(tokenizer, "tiny")
    made = again.tokens(Example(text="plain", row=1))
    assert made.ids.tolist() == [*tokenizer("plain")["input_ids"], tokenizer.eos_token_id]
    assert made.trained.tolist() == [False, *[True] * (len(made.ids) - 1)]


def test_control_tokens_in_rows_are_noticed(tmp_path: Path) -> None:
    template = chat_template(tmp_path, CHATML, ("</s>", "<filename>"))
    for text in ("done</s>", "see <filename>"):
        assert Code.ROWS_HOLD_SPECIAL in template.rendered(conversation(("user", "q"), ("assistant", text))).done
        assert Code.ROWS_HOLD_SPECIAL in template.rendered(Example(text=text, row=1)).done
    assert not template.rendered(conversation(("user", "</b>"), ("assistant", "<file>"))).done


@pytest.mark.parametrize("answer", ["<think>\n\n</think>\n\nHello", "<think></think>Hello"])
def test_training_without_thinking_is_reported(tmp_path: Path, answer: str) -> None:
    template = chat_template(tmp_path, CHATML)
    assert Code.EMPTY_THINKING in template.rendered(conversation(("user", "Hi"), ("assistant", answer))).done
    thoughtful = conversation(("user", "Hi"), ("assistant", "<think>\nwell\n</think>\n\nHello"))
    assert Code.EMPTY_THINKING not in template.rendered(thoughtful).done


def test_trained_empty_thought_is_reported(tmp_path: Path) -> None:
    own = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% if m['role'] == 'assistant' %}{{ '<think>\n\n</think>\n\n' }}"
        "{% endif %}{{ m['content'] + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    example = conversation(("user", "Hi"), ("assistant", "Hello"))
    template = chat_template(tmp_path / "own", own)
    assert learned(template, example) == ["<think>\n\n</think>\n\nHello<|im_end|>"]
    assert Code.EMPTY_THINKING in template.rendered(example).done
    assert Code.EMPTY_THINKING not in chat_template(tmp_path / "plain", CHATML).rendered(example).done


def written_by_hand() -> Example:
    """As Hermes' rows write a call and its result."""
    return Example(
        messages=(
            Message(role="system", content="You may call <tools>{}</tools>"),
            Message(role="user", content="Weather?"),
            Message(role="assistant", content="<tool_call>\n{}\n</tool_call>", train=True),
            Message(role="tool", content="4 degrees"),
            Message(role="assistant", content="Four.", train=True),
        ),
        row=1,
    )  # fmt: skip


@pytest.mark.parametrize("template", [CHATML, NINE])
def test_calls_written_as_text_are_trained_once_unchanged(tmp_path: Path, template: str) -> None:
    """With a template that writes calls and demands ids, and with one that knows no calls."""
    text = chat_template(tmp_path, template).rendered(written_by_hand()).text
    assert text.count("<tool_call>") == text.count("<tools>") == 1
    assert text.count("<tool_response>\n4 degrees\n</tool_response>") == text.count("4 degrees") == 1


def test_token_spanning_header_and_answer_is_trained(tmp_path: Path) -> None:
    """A prompt that ends with a blank, and a token for the blank and the answer's first letter."""
    from tokenizers import AddedToken

    template = chat_template(
        tmp_path,
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}",
    )
    template.tokenizer.add_tokens([AddedToken(" a", normalized=False)])
    assert learned(template, conversation(("user", "Is it?"), ("assistant", "a"))) == [" a<|im_end|>"]


def test_template_end_token_overrides_the_tokenizers(tmp_path: Path) -> None:
    template = chat_template(tmp_path / "a", CHATML)
    assert (template.end, template.end_id) == ("<|im_end|>", template.tokenizer.convert_tokens_to_ids("<|im_end|>"))
    assert chat_template(tmp_path / "b", NO_END).end is None
