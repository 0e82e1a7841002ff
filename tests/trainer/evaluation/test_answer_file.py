"""The file of an answer: few lines a second, an end with what it took, and errors that are the answer's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from interfaces.chats import AnswerPiece
from interfaces.problems import Code

pytestmark = pytest.mark.tiny


def read(path: Path) -> list[AnswerPiece]:
    found = []
    for line in path.read_text().splitlines():
        if line.endswith("}"):
            found.append(AnswerPiece.model_validate_json(line))
    return found


def test_an_answer_is_written_with_its_end(tmp_path: Path) -> None:
    from trainer.evaluation.answer_file import Answer, AnswerWriter

    path = tmp_path / "answers.jsonl"
    path.write_text('{"turn": 1, "te')  # a child that was killed
    with path.open("a", encoding="utf-8") as file:
        writer = AnswerWriter(file, 2)
        answer = Answer([5, 6, 7], None, tell=writer.text, over=writer.end)
        with answer.timed():
            for number, text in enumerate(["a", "b", "c"] * 100, start=1):
                answer.count(number)
                answer.say(text)
            answer.end = "complete"
    pieces = read(path)
    assert "".join(piece.text for piece in pieces) == "abc" * 100
    assert len(pieces) < 20, "not a line for each token"
    last = pieces[-1]
    assert (last.turn, last.end, last.tokens, last.prompt_tokens) == (2, "complete", 300, 3)
    assert last.first_seconds is not None
    assert last.first_seconds <= last.seconds


def test_an_error_ends_only_its_own_answer(tmp_path: Path) -> None:
    from trainer.evaluation.answer_file import Answer, AnswerWriter

    with (tmp_path / "answers.jsonl").open("a", encoding="utf-8") as file:
        writer = AnswerWriter(file, 1)
        answer = Answer([1], None, tell=writer.text, over=writer.end)
        with answer.timed():
            answer.say("Half")
            raise ValueError("no such token")
    last = read(tmp_path / "answers.jsonl")[-1]
    assert last.end == "failed"
    assert last.problem is not None
    assert (last.problem.code, last.problem.params["reason"]) == (Code.JOB_FAILED, "ValueError: no such token")
