"""The child behind a chat: each answer goes to its file, with the adapter and the conversation of its speaker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interfaces.chats import AnswerPiece, AnswerRequest, Sampling, SpeakerRequest
from interfaces.config import FineTuneConfig
from interfaces.example import Message
from interfaces.folders import Home
from interfaces.problems import Code
from tests.support.adapters import adapter_folder
from tests.trainer.evaluation.test_generation import own_ids

pytestmark = pytest.mark.tiny


def chat_model(model: Path, home: Home) -> Any:
    from trainer.evaluation.chat import ChatModel

    return ChatModel(FineTuneConfig(model_name=str(model), dataset="chat", device="cpu"), home, lambda *_: None)


def asked(file: Path, text: str = "Hi", adapter: Path | None = None) -> SpeakerRequest:
    return SpeakerRequest(
        file=str(file), adapter=str(adapter or ""), messages=[Message(role="user", content=text)]
    )  # fmt: skip


def pieces(file: Path) -> list[AnswerPiece]:
    return [AnswerPiece.model_validate_json(line) for line in file.read_text().splitlines() if line]


def test_each_speaker_answers_as_transformers_does_with_its_adapter(tmp_path: Path, tiny_model: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapters = [adapter_folder(tmp_path / f"adapter-{seed}", tiny_model, seed) for seed in (1, 2)]
    chat = chat_model(tiny_model, Home(tmp_path))
    files = [tmp_path / f"{number}.jsonl" for number in range(3)]
    speakers = [asked(file, adapter=adapter) for file, adapter in zip(files, (None, *adapters), strict=True)]
    chat.answer(AnswerRequest(turn=1, speakers=speakers, sampling=Sampling(max_new_tokens=20)), lambda: False)
    for file, adapter in zip(files, (None, *adapters), strict=True):
        whole = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=chat._base.dtype)
        alone = PeftModel.from_pretrained(whole, adapter or adapters[0])
        ids = chat._template.prompt_ids("Hi")
        name = "default" if adapter else None
        expected = own_ids(alone, chat._template, ids, name, max_new_tokens=20, do_sample=False)
        written = pieces(file)
        end = written[-1]
        assert "".join(piece.text for piece in written) == chat._template.tokenizer.decode(
            expected, skip_special_tokens=True
        )
        assert (end.end, end.tokens, end.turn) == ("length", 20, 1)


def test_missing_and_foreign_adapters_are_reported_and_others_answer(tmp_path: Path, tiny_model: Path) -> None:
    chat = chat_model(tiny_model, Home(tmp_path))
    damaged = adapter_folder(tmp_path / "damaged", tiny_model, 1)
    (damaged / "adapter_model.safetensors").write_bytes(b"no weights")
    speakers = [
        asked(tmp_path / "gone.jsonl", adapter=tmp_path / "nowhere"), asked(tmp_path / "base.jsonl"),
        asked(tmp_path / "damaged.jsonl", adapter=damaged),
    ]  # fmt: skip
    chat.answer(AnswerRequest(turn=1, speakers=speakers, sampling=Sampling(max_new_tokens=3)), lambda: False)
    for name in ("gone", "damaged"):
        (piece,) = pieces(tmp_path / f"{name}.jsonl")
        assert piece.end == "failed"
        assert piece.problem is not None
        assert piece.problem.code == Code.ADAPTER_UNUSABLE
    assert pieces(tmp_path / "base.jsonl")[-1].end == "length"


def test_conversation_longer_than_the_model_reads_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    chat = chat_model(tiny_model, Home(tmp_path))
    positions = chat._base.config.max_position_embeddings
    file = tmp_path / "answer.jsonl"
    request = AnswerRequest(turn=1, speakers=[asked(file, "word " * positions)], sampling=Sampling())
    chat.answer(request, lambda: False)
    (piece,) = pieces(file)
    assert piece.problem is not None
    assert piece.problem.code == Code.CONVERSATION_TOO_LONG


def test_plain_text_is_continued_without_the_template(tmp_path: Path, tiny_model: Path) -> None:
    chat = chat_model(tiny_model, Home(tmp_path))
    files = [tmp_path / "plain.jsonl", tmp_path / "chat.jsonl"]
    for file, plain in zip(files, (True, False), strict=True):
        request = AnswerRequest(turn=1, speakers=[asked(file)], plain=plain, sampling=Sampling(max_new_tokens=12))
        chat.answer(request, lambda: False)
    said = ["".join(piece.text for piece in pieces(file)) for file in files]
    ids = chat._template.tokenizer("Hi").input_ids
    expected = own_ids(chat._with_adapters(), chat._template, ids, None, max_new_tokens=12, do_sample=False)
    assert said[0] == chat._template.tokenizer.decode(expected, skip_special_tokens=True)
    assert said[0] != said[1]


def test_more_adapters_than_are_kept_are_loaded_again(tmp_path: Path, tiny_model: Path, monkeypatch: Any) -> None:
    from trainer.evaluation import chat as module

    monkeypatch.setattr(module, "MOST_ADAPTERS", 1)
    chat = chat_model(tiny_model, Home(tmp_path))
    adapters = [adapter_folder(tmp_path / f"adapter-{seed}", tiny_model, seed) for seed in (1, 2)]
    said = []
    for number, adapter in enumerate((adapters[0], adapters[1], adapters[0])):
        file = tmp_path / f"{number}.jsonl"
        request = AnswerRequest(turn=1, speakers=[asked(file, adapter=adapter)], sampling=Sampling(max_new_tokens=12))
        chat.answer(request, lambda: False)
        said.append("".join(piece.text for piece in pieces(file)))
    assert said[0] == said[2] != said[1]
