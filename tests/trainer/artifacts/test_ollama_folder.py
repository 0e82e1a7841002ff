"""Ollama gets the same text as training, or a Modelfile without a template."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHATML

pytestmark = pytest.mark.tiny
trl = pytest.importorskip("trl", reason="not installed: make setup")
KNOWN = Path(trl.__file__).parent / "chat_templates"
MISTRAL = """{{ bos_token }}{% for message in messages if message.role != 'system' %}{% if message.role == 'user' %}
{%- if loop.last and messages[0].role == 'system' %}[INST] {{ messages[0].content + '\n\n' + message.content }}[/INST]
{%- else %}[INST] {{ message.content }}[/INST]{% endif %}{% else %} {{ message.content }}{{ eos_token }}{% endif %}{% endfor %}"""
LLAMA2 = """{% for message in messages if message.role != 'system' %}{% if message.role == 'user' %}{{ bos_token }}[INST] {% if loop.first and messages[0].role == 'system' %}<<SYS>>
{{ messages[0].content }}
<</SYS>>

{% endif %}{{ message.content }} [/INST]{% else %} {{ message.content }} {{ eos_token }}{% endif %}{% endfor %}"""
WRITTEN = [
    "chatml",
    "mistral",
    "llama2",
    "qwen2_5",
    "qwen3",
    "llama3",
    "llama3_1",
    "gemma",
    "gemma3",
    "lfm2",
    "cohere2",
]


def loaded(name: str) -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from trainer.tokens.template import ChatTemplate

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    own = {"chatml": CHATML, "mistral": MISTRAL, "llama2": LLAMA2}
    tokenizer.chat_template = own[name] if name in own else (KNOWN / f"{name}.jinja").read_text()
    return ChatTemplate(tokenizer, name)


@pytest.mark.parametrize(
    ("name", "place", "answer"),
    [
        ("chatml", "head", "<|im_start|>assistant\n"), ("qwen2_5", "head", "<|im_start|>assistant\n"),
        ("llama3", "head", "<|start_header_id|>assistant<|end_header_id|>\n\n"), ("gemma", "first", "<start_of_turn>model\n"),
        ("mistral", "last", ""), ("llama2", "first", ""),
    ],
)  # fmt: skip
def test_what_a_template_writes_around_turns_is_found(name: str, place: str, answer: str) -> None:
    from trainer.artifacts.ollama_folder import ChatShape

    shape = ChatShape.of(loaded(name))
    assert shape is not None
    assert (shape.place, shape.answer) == (place, answer)


@pytest.mark.parametrize("name", ["llama3_2", "gptoss", "phi3"])
def test_a_template_that_does_more_is_left_to_ollama(name: str, tmp_path: Path) -> None:
    """One writes today's date, one needs today's date in another way, one ends differently before a question."""
    from trainer.artifacts.ollama_folder import ChatShape, write_modelfile

    template = loaded(name)
    assert ChatShape.of(template) is None
    assert write_modelfile(tmp_path, "mine.gguf", template) is False
    lines = (tmp_path / "Modelfile").read_text().splitlines()
    assert lines == ["# ollama create my-model -f Modelfile", "FROM ./mine.gguf", 'PARAMETER stop "</s>"']


def test_a_modelfile_names_the_weights_the_template_and_the_stop_tokens(tmp_path: Path) -> None:
    from trainer.artifacts.ollama_folder import write_modelfile

    assert write_modelfile(tmp_path, "mine.gguf", loaded("qwen2_5")) is True
    text = (tmp_path / "Modelfile").read_text()
    assert "FROM ./mine.gguf\n" in text
    assert 'TEMPLATE """{{ $system := .System }}{{ if $system }}<|im_start|>system\n' in text
    assert 'PARAMETER stop "</s>"\n' in text


@pytest.mark.parametrize("text", ["{{ '{{' }}", '"""'])
def test_a_text_that_would_end_the_template_is_left_to_ollama(text: str, tmp_path: Path) -> None:
    from trainer.artifacts.ollama_folder import write_modelfile

    template = loaded("chatml")
    template.tokenizer.chat_template = text + CHATML
    assert write_modelfile(tmp_path, "mine.gguf", template) is False
    assert "TEMPLATE" not in (tmp_path / "Modelfile").read_text()


@pytest.mark.long
@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
def test_go_renders_five_conversations_as_jinja_does(tmp_path: Path) -> None:
    from trainer.artifacts.ollama_folder import TALKS, ChatShape

    cases, wanted = [], []
    for name in WRITTEN:
        template = loaded(name)
        shape = ChatShape.of(template)
        assert shape is not None, name
        for talk in TALKS:
            messages = [{"role": role, "content": content} for role, content in talk]
            if messages[0]["role"] == "system" and not template.renderer.takes_system:
                continue
            cases.append({"Template": shape.template(), "Messages": messages})
            wanted.append(template.renderer.render(messages, answer_next=True))
    program = Path(__file__).parents[2] / "support" / "go_template" / "main.go"
    settings = {**os.environ, "GOCACHE": str(tmp_path / "cache"), "GOPROXY": "off"}
    done = subprocess.run(
        ["go", "run", str(program)], input=json.dumps(cases), capture_output=True, text=True, check=True, env=settings
    )
    assert json.loads(done.stdout) == wanted
    assert len(wanted) > 5 * len(WRITTEN) - 5
