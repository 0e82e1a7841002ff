"""Test questions of one's own: prompts that are kept in the home, and asked of every run."""

from __future__ import annotations

import threading

from pydantic import BaseModel, Field, ValidationError

from interfaces.chats import MOST_CHARACTERS
from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.folders import Home
from interfaces.problems import Code
from interfaces.records import read_record

MOST_QUESTIONS = 50
_KEEPING = threading.Lock()


class TestQuestions(BaseModel):
    """`questions.json`: the prompts, oldest first."""

    __test__ = False  # no test of pytest's

    questions: list[str] = Field(default_factory=list)


def kept_questions(home: Home) -> list[str]:
    """Return the kept questions; none if the file is missing or damaged.

    Raises:
        FineTuneError: another version wrote it.
    """
    try:
        return TestQuestions.model_validate(read_record(home.questions) or {}).questions
    except ValidationError:
        return []


def keep_question(home: Home, question: str, kept: bool) -> list[str]:
    """Keep a question, or no longer, and return all that are kept.

    Raises:
        FineTuneError: it is empty or too long, or there are too many.
    """
    with _KEEPING:
        return _keep(home, question, kept)


def _keep(home: Home, question: str, kept: bool) -> list[str]:
    before = [one for one in kept_questions(home) if one != question]
    if kept and not (question.strip() and len(question) <= MOST_CHARACTERS):
        raise FineTuneError.of(Code.VALUE_INVALID, field="question", value=repr(question[:40]), expected="printable")
    if kept and len(before) >= MOST_QUESTIONS:
        raise FineTuneError.of(Code.TOO_MANY_QUESTIONS, limit=str(MOST_QUESTIONS))
    now = [*before, question] if kept else before
    home.path.mkdir(parents=True, exist_ok=True)
    write_json(home.questions, TestQuestions(questions=now).model_dump())
    return now
