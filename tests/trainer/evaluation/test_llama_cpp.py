"""Chats that llama.cpp computes: the same prompt and the same answer as transformers, and only for who has the key."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from interfaces.chats import AnswerPiece, AnswerRequest, Sampling, SpeakerRequest
from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.example import Message
from interfaces.folders import Home
from interfaces.problems import Code
from tests.support.tiny_families import tiny_family, written

HALF = "\ufffd"
pytestmark = pytest.mark.tiny
pytest.importorskip("xllamacpp")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from trainer.evaluation.llama_cpp import LlamaModel

    place = tmp_path_factory.mktemp("gguf")
    base = tiny_family(place / "base", "llama", tie_word_embeddings=True)
    written(base, place)
    config = FineTuneConfig(model_name=str(base), dataset="chat")
    return LlamaModel(place / "tiny.gguf", config, Home(place / "home"), lambda *_: None)


def answered(model: Any, file: Path, text: str, leave: Any = lambda: False, **more: Any) -> list[AnswerPiece]:
    speaker = SpeakerRequest(file=str(file), messages=[Message(role="user", content=text)])
    sampling = Sampling(max_new_tokens=more.pop("max_new_tokens", 12))
    model.answer(AnswerRequest(turn=1, speakers=[speaker], sampling=sampling, **more), leave)
    return [AnswerPiece.model_validate_json(line) for line in file.read_text().splitlines() if line]


def test_it_says_what_transformers_says(model: Any, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = model._template.model_name
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(Path(base).parent / "adapter"))
    for text, plain in (("灯笼 doesn't?", False), ("def f(", True)):
        ids = model._template.text_ids(text) if plain else model._template.prompt_ids(text)
        made = adapted.generate(input_ids=torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0, len(ids) :]
        *_, last = pieces = answered(model, tmp_path / f"{plain}.jsonl", text, plain=plain)
        wanted = model._template.tokenizer.decode(made, skip_special_tokens=True)
        assert "".join(piece.text for piece in pieces) == wanted.rstrip(HALF), "a character that has no end isn't told"
        assert (last.prompt_tokens, last.end) in ((len(ids), "length"), (len(ids), "complete"))
        assert last.first_seconds is not None


def test_an_answer_that_nobody_needs_ends(model: Any, tmp_path: Path) -> None:
    *_, last = answered(model, tmp_path / "left.jsonl", "Hello", leave=lambda: True, max_new_tokens=8000)
    assert last.end in ("stopped", "complete")
    assert last.tokens < 100


def test_a_conversation_that_is_too_long_is_said(model: Any, tmp_path: Path) -> None:
    (piece,) = answered(model, tmp_path / "long.jsonl", "hours " * 9000)
    assert piece.problem is not None
    assert piece.problem.code is Code.CONVERSATION_TOO_LONG


def test_its_port_has_a_key(model: Any) -> None:
    address = model._server._server.listening_address
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(f"{address}/completion", b'{"prompt": [1]}'))
    assert caught.value.code == 401


def test_without_the_package_or_the_file_there_is_a_sentence(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.evaluation import llama_cpp

    config = FineTuneConfig(model_name=model._template.model_name, dataset="chat")
    with pytest.raises(FineTuneError) as gone:
        llama_cpp.LlamaModel(tmp_path / "gone.gguf", config, Home(tmp_path), lambda *_: None)
    assert gone.value.problems[0].code is Code.FILE_MISSING
    monkeypatch.setattr(llama_cpp, "xllamacpp", None)
    with pytest.raises(FineTuneError) as missing:
        llama_cpp.LlamaServer(tmp_path / "any.gguf")
    assert missing.value.problems[0].code is Code.NO_LLAMA_CPP
