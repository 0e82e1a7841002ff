"""Answers for programs: which model has which name, which file is served, and a child that fails."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from interfaces.chats import AnswerPiece, Sampling
from interfaces.errors import FineTuneError
from interfaces.example import Message
from interfaces.exports import ExportRecord, ExportRequest
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import ExportFolder
from interfaces.problems import Code
from studio.chat.serving import ServedModel, StopTexts, exported_gguf
from tests.support.records import recorded_run

HELLO = [Message(role="user", content="Hello")]


def exported(run: RunFolder, **request: Any) -> Path:
    folder = ExportFolder.create(run)
    asked = ExportRequest.model_validate({"kind": "gguf", "name": "mine", **request})
    asked.write(folder)
    target = asked.target(folder)
    weights = asked.weights(target)
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"GGUF")
    ExportRecord(path=str(target), bytes=4).write(folder)
    return weights


def test_the_newest_gguf_of_the_same_adapter_is_served(home: Home) -> None:
    run = recorded_run(home)
    ExportRequest(kind="merged", name="merged").write(ExportFolder.create(run))
    first, of_step, newest = exported(run), exported(run, step=2), exported(run, kind="ollama")
    assert (exported_gguf(run, None), exported_gguf(run, 2)) == (newest, of_step)
    assert exported_gguf(run, None, 2) == first
    newest.unlink()
    assert exported_gguf(run, None) == first
    with pytest.raises(FineTuneError) as caught:
        exported_gguf(run, 5)
    assert caught.value.problems[0].code is Code.NO_GGUF


class FakeChildren:
    """Children that write the given pieces, or fail."""

    asked: Any = None

    def __init__(self, pieces: list[AnswerPiece], error: FineTuneError | None = None) -> None:
        self.pieces, self.error = pieces, error

    def close(self) -> None:
        pass

    def answer(self, _config: Any, request: Any, asked: Any = None, gguf: str = "") -> None:
        self.asked, self.gguf = asked, gguf
        with Path(request.speakers[0].file).open("a") as file:
            file.writelines(piece.model_dump_json() + "\n" for piece in self.pieces)
        if self.error:
            raise self.error


def served(home: Home, children: FakeChildren) -> ServedModel:
    run = recorded_run(home)
    (run.adapter).mkdir()
    (run.adapter / "adapter_config.json").write_text("{}")
    model = ServedModel(run)
    model._children = children  # type: ignore[assignment]
    return model


def answers(model: ServedModel, *stops: str) -> list[AnswerPiece]:
    async def read() -> list[AnswerPiece]:
        return [piece async for piece in model.answer(model.names[0], HELLO, Sampling(), stops)]

    found = asyncio.run(read())
    model.close()
    return found


@pytest.mark.parametrize(
    ("texts", "stops", "whole"),
    [
        (["One ", "two ", "three"], [], "One two three"),
        (["One tw", "o three"], ["two"], "One "),
        (["a\n", "\n", "b"], ["\n\n"], "a"),
        (["a\n", "b"], ["\n\n"], "a\nb"),
        (["a#"], ["##", "#"], "a"),
        (["x", "y", "z"], ["zz", ""], "xyz"),
    ],
)
def test_an_answer_ends_before_its_first_stop_text(texts: list[str], stops: list[str], whole: str) -> None:
    until = StopTexts(stops)
    assert "".join(until.take(text, text is texts[-1]) for text in texts) == whole
    assert until.reached == (whole != "".join(texts))


def test_an_answer_that_a_stop_text_ends_is_left_and_counted(home: Home) -> None:
    children = FakeChildren([
        AnswerPiece(turn=1, text="One STOP two"), AnswerPiece(turn=1, text="three", end="stopped", tokens=5, prompt_tokens=9),
    ])  # fmt: skip
    found = answers(served(home, children), "STOP")
    assert "".join(piece.text for piece in found) == "One "
    assert (found[-1].end, found[-1].tokens, found[-1].prompt_tokens) == ("complete", 5, 9)
    assert children.asked.left


def test_an_answer_comes_in_pieces_and_leaves_nothing_on_the_disk(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    pieces = [AnswerPiece(turn=1, text="One "), AnswerPiece(turn=1, text="two", end="complete", tokens=2)]
    assert answers(served(home, FakeChildren(pieces))) == pieces
    assert not list((tmp_path / "temporary").iterdir())


def test_a_failure_is_raised_and_a_missing_end_is_one(home: Home) -> None:
    def code(children: FakeChildren) -> Code:
        with pytest.raises(FineTuneError) as caught:
            answers(served(home, children))
        return caught.value.problems[0].code

    half = [AnswerPiece(turn=1, text="One ")]
    assert code(FakeChildren(half)) is Code.CHILD_CLOSED
    assert code(FakeChildren(half, FineTuneError.of(Code.STUDIO_BUSY, count=2))) is Code.STUDIO_BUSY
    problem = FineTuneError.of(Code.CONVERSATION_TOO_LONG, value=9, expected=8).problems[0]
    assert code(FakeChildren([AnswerPiece(turn=1, end="failed", problem=problem)])) is Code.CONVERSATION_TOO_LONG


def test_who_stops_listening_stops_the_answer(home: Home) -> None:
    children = FakeChildren([AnswerPiece(turn=1, text="One "), AnswerPiece(turn=1, text="two")])
    model = served(home, children)

    async def first() -> str:
        pieces = model.answer(model.names[0], HELLO, Sampling())
        piece = await anext(pieces)
        await pieces.aclose()  # type: ignore[attr-defined]
        return piece.text

    assert asyncio.run(first()) == "One "
    assert children.asked is not None
    assert children.asked.left
