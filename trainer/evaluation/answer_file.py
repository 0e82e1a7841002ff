"""An answer while it is generated, and the file from which the studio reads it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import TextIOWrapper

from interfaces.chats import AnswerPiece, AnswerRequest, End, SpeakerRequest
from interfaces.errors import FineTuneError
from interfaces.example import Example
from interfaces.problems import Code, Problem
from trainer.tokens.template import ChatTemplate

PIECE_SECONDS = 0.1
log = logging.getLogger(__name__)


def prompt_ids(
    template: ChatTemplate, request: AnswerRequest, speaker: SpeakerRequest, positions: int | None
) -> list[int]:
    """Return the token ids of what a speaker is asked. The model has `positions`, if it has a limit.

    Raises:
        FineTuneError: the template refuses the conversation, or it is too long.
    """
    if request.plain:
        ids = template.text_ids(speaker.messages[-1].content)
    else:
        ids = template.conversation_ids(Example(messages=tuple(speaker.messages), row=request.turn))
    if positions and len(ids) >= positions:
        raise FineTuneError.of(Code.CONVERSATION_TOO_LONG, value=len(ids), expected=positions)
    return ids


@dataclass
class Answer:
    """One answer: the prompt's token ids, the adapter (None is the base model), and callbacks for its text and its end."""

    ids: list[int]
    adapter: str | None
    most: int | None = None
    """The tokens that the model has positions for, if it has a limit."""
    tell: Callable[[str], None] = lambda _text: None
    over: Callable[[Answer], None] = lambda _answer: None
    text: str = ""
    tokens: int = 0
    first_seconds: float | None = None
    seconds: float = 0.0
    end: End | None = None
    error: BaseException | None = None
    begun: float = 0.0

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Measure the time of an answer, keep an error of it as its own, and tell its end."""
        self.begun = time.monotonic()
        try:
            yield
        except Exception as error:  # noqa: BLE001  it is the answer's
            self.error, self.end = error, "failed"
        finally:
            self.seconds = time.monotonic() - self.begun
            self.over(self)

    def count(self, tokens: int) -> None:
        """Note how many tokens there are by now."""
        if self.first_seconds is None:
            self.first_seconds = time.monotonic() - self.begun
        self.tokens = tokens

    def say(self, text: str) -> None:
        """Add a piece of text."""
        self.text += text
        self.tell(text)


class AnswerWriter:
    """Writes the lines of one answer, at most ten a second."""

    def __init__(self, file: TextIOWrapper, turn: int) -> None:
        self._file, self._turn = file, turn
        self._text, self._written = "", 0.0
        if file.tell():
            file.write("\n")  # a child that was killed may have left half a line

    def text(self, text: str) -> None:
        self._text += text
        if time.monotonic() - self._written >= PIECE_SECONDS:
            self._written = time.monotonic()
            self._write(AnswerPiece(turn=self._turn, text=self._text))
            self._text = ""

    def failed(self, problem: Problem) -> None:
        self._write(AnswerPiece(turn=self._turn, end="failed", problem=problem))

    def end(self, answer: Answer) -> None:
        problem = None
        if answer.error is not None:
            log.error("The answer failed", exc_info=answer.error)
            reason = f"{type(answer.error).__name__}: {(str(answer.error).strip().splitlines() or [''])[0][:200]}"
            problem = Problem.error(Code.JOB_FAILED, reason=reason, value="chat")
        first = None if answer.first_seconds is None else round(answer.first_seconds, 3)
        with contextlib.suppress(OSError):  # a full disk; the studio sees that there is no end
            self._write(AnswerPiece(
                turn=self._turn, text=self._text, end=answer.end or "failed", tokens=answer.tokens, prompt_tokens=len(answer.ids), problem=problem,
                first_seconds=first, seconds=round(answer.seconds, 3),
            ))  # fmt: skip

    def _write(self, piece: AnswerPiece) -> None:
        self._file.write(piece.model_dump_json(exclude_defaults=True) + "\n")
        self._file.flush()
