"""Kept test questions: once each, in order, and not without end."""

import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from studio.chat.questions import MOST_QUESTIONS, keep_question, kept_questions


def test_questions_are_kept_once_and_in_order(home: Home) -> None:
    assert kept_questions(home) == []
    for question in ("Why?", "你是谁？", "Why?"):
        keep_question(home, question, kept=True)
    assert kept_questions(home) == ["你是谁？", "Why?"]
    assert keep_question(home, "Why?", kept=False) == keep_question(home, "unknown", kept=False) == ["你是谁？"]


def test_damaged_file_is_no_obstacle(home: Home) -> None:
    home.path.mkdir()
    home.questions.write_text('{"questions": 3}')
    assert keep_question(home, "Why?", kept=True) == ["Why?"]


def test_empty_and_too_many_questions_are_refused(home: Home) -> None:
    for number in range(MOST_QUESTIONS):
        keep_question(home, str(number), kept=True)
    keep_question(home, "7", kept=True)
    for question, code in (("  ", Code.VALUE_INVALID), ("one more", Code.TOO_MANY_QUESTIONS)):
        with pytest.raises(FineTuneError) as caught:
            keep_question(home, question, kept=True)
        assert caught.value.problems[0].code == code
    assert len(kept_questions(home)) == MOST_QUESTIONS
