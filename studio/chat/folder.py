"""A chat on disk: who answers, the turns, and what has been answered so far (`interfaces/chats.py`)."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from interfaces.chats import AnswerPiece, Question, Speaker, Turn
from interfaces.errors import FineTuneError
from interfaces.example import Message
from interfaces.files import write_json
from interfaces.folders import Home
from interfaces.problems import Code, Problem
from interfaces.records import read_record

Line = TypeVar("Line", bound=BaseModel)
CHAT_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


class SpeakerName(BaseModel):
    """A speaker and what it was called when the chat began: the run's name and its base model."""

    speaker: Speaker
    run_name: str
    model: str


class TurnSoFar(BaseModel):
    """A turn with the answer of each speaker: its whole text so far, and its end, which is None while it is written."""

    turn: Turn
    answers: list[AnswerPiece]

    @property
    def over(self) -> bool:
        return all(answer.end is not None for answer in self.answers)


@dataclass(frozen=True)
class ChatFolder:
    """The folder of one chat."""

    path: Path

    @classmethod
    def create(cls, home: Home, speakers: Sequence[SpeakerName]) -> ChatFolder:
        path = home.chats / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        path.mkdir(parents=True)
        folder = cls(path)
        write_json(folder._record, {"speakers": [speaker.model_dump() for speaker in speakers]})
        return folder

    @classmethod
    def named(cls, home: Home, chat: str) -> ChatFolder:
        """
        Raises:
            FineTuneError: there is no such chat.
        """
        folder = cls(home.chats / chat)
        if not CHAT_ID.fullmatch(chat) or not folder._record.is_file():
            raise FineTuneError.of(Code.CHAT_NOT_FOUND, value=chat[:40])
        return folder

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def _record(self) -> Path:
        return self.path / "chat.json"

    @property
    def _turns(self) -> Path:
        return self.path / "turns.jsonl"

    def answers(self, speaker: int) -> Path:
        return self.path / f"answers-{speaker}.jsonl"

    def speakers(self) -> list[SpeakerName]:
        """
        Raises:
            FineTuneError: the record is damaged, or another version wrote it.
        """
        try:
            return TypeAdapter(list[SpeakerName]).validate_python((read_record(self._record) or {}).get("speakers"))
        except ValidationError as error:
            raise FineTuneError.of(Code.CHAT_NOT_FOUND, value=self.id) from error

    def ask(self, question: Question) -> Turn:
        """Add a turn."""
        turn = Turn(**question.model_dump(), turn=len(self._asked()) + 1, time=time.time())
        with self._turns.open("a", encoding="utf-8") as file:
            file.write(turn.model_dump_json() + "\n")
        return turn

    def turns(self) -> list[TurnSoFar]:
        """Return all turns with their answers so far."""
        answers = [self._answers(speaker) for speaker in range(len(self.speakers()))]
        return [
            TurnSoFar(turn=turn, answers=[one.get(turn.turn, AnswerPiece(turn=turn.turn)) for one in answers])
            for turn in self._asked()
        ]

    def end(self, speaker: int, turn: int, problem: Problem | None) -> None:
        """Record that no child will answer this turn, or go on: why it failed, or, without a problem, that it was stopped."""
        piece = AnswerPiece(turn=turn, end="failed" if problem else "stopped", problem=problem)
        with self.answers(speaker).open("a", encoding="utf-8") as file:
            # A child that was killed may have left half a line.
            file.write("\n" + piece.model_dump_json(exclude_defaults=True) + "\n")

    def conversation(self, speaker: int, question: Question) -> list[Message]:
        """Return what this speaker has been told and has said, up to this question. Failed turns are left out."""
        system = [Message(role="system", content=question.system)] if question.system else []
        before = [] if question.alone else self.turns()
        said = [
            message
            for turn in before
            if (answer := turn.answers[speaker]).end in ("complete", "length", "stopped")
            and not (turn.turn.plain or turn.turn.alone)
            for message in (
                Message(role="user", content=turn.turn.prompt),
                Message(role="assistant", content=answer.text.strip()),
            )
        ]
        return [*system, *said, Message(role="user", content=question.prompt)]

    def _asked(self) -> list[Turn]:
        return _lines(self._turns, Turn)

    def _answers(self, speaker: int) -> dict[int, AnswerPiece]:
        found: dict[int, AnswerPiece] = {}
        for piece in _lines(self.answers(speaker), AnswerPiece):
            before = found.get(piece.turn)
            if before is None or before.end is None:  # nothing comes after an end
                found[piece.turn] = piece.model_copy(update={"text": (before.text if before else "") + piece.text})
        return found


def _lines(path: Path, kind: type[Line]) -> list[Line]:
    """Read a file of lines. The last one may not be complete yet, and a killed child may have left half a line."""
    found = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    for line in text.split("\n"):
        try:
            found.append(kind.model_validate_json(line))
        except ValidationError:
            continue
    return found
