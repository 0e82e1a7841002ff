"""A chat on disk: what is read back while children write, and after one was killed."""

from __future__ import annotations

import pytest

from interfaces.chats import AnswerPiece, Question, Speaker
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code, Problem
from studio.chat.folder import ChatFolder, SpeakerName

RESULT, BASE = (
    SpeakerName(speaker=Speaker(run="20260101-000000-abcd", base=base), run_name="lamp", model="starter")
    for base in (False, True)
)


def say(folder: ChatFolder, speaker: int, *pieces: AnswerPiece) -> None:
    with folder.answers(speaker).open("a", encoding="utf-8") as file:
        for piece in pieces:
            file.write(piece.model_dump_json(exclude_defaults=True) + "\n")


def test_answers_are_read_while_they_are_written(home: Home) -> None:
    folder = ChatFolder.create(home, [BASE, RESULT])
    folder.ask(Question(prompt="Why?"))
    say(folder, 1, AnswerPiece(turn=1, text="Be"), AnswerPiece(turn=1, text="cause"))
    (turn,) = ChatFolder.named(home, folder.id).turns()
    assert [answer.text for answer in turn.answers] == ["", "Because"]
    assert not turn.over
    say(folder, 0, AnswerPiece(turn=1, text="No."), AnswerPiece(turn=1, end="complete", tokens=2, seconds=0.5))
    say(folder, 1, AnswerPiece(turn=1, end="stopped", tokens=2))
    (turn,) = folder.turns()
    assert turn.over
    assert [(answer.text, answer.end, answer.tokens) for answer in turn.answers] == [
        ("No.", "complete", 2),
        ("Because", "stopped", 2),
    ]


def test_each_speaker_is_told_its_own_answers(home: Home) -> None:
    folder = ChatFolder.create(home, [BASE, RESULT])
    folder.ask(Question(prompt="Who?"))
    for speaker, text in enumerate(("base", "tuned ")):
        say(folder, speaker, AnswerPiece(turn=1, text=text), AnswerPiece(turn=1, end="complete"))
    folder.ask(Question(prompt="lost"))
    folder.end(1, 2, Problem.error(Code.CHAT_BUSY))
    asked = Question(prompt="And?", system="Be short.")
    assert [(one.role, one.content) for one in folder.conversation(1, asked)] == [
        ("system", "Be short."), ("user", "Who?"), ("assistant", "tuned"), ("user", "And?"),
    ]  # fmt: skip


def test_test_questions_stand_alone(home: Home) -> None:
    folder = ChatFolder.create(home, [BASE])
    for prompt, alone in (("Who?", False), ("Why?", True)):
        turn = folder.ask(Question(prompt=prompt, alone=alone)).turn
        say(folder, 0, AnswerPiece(turn=turn, text="a"), AnswerPiece(turn=turn, end="complete"))
    assert [one.content for one in folder.conversation(0, Question(prompt="When?", alone=True))] == ["When?"]
    assert [one.content for one in folder.conversation(0, Question(prompt="And?"))] == ["Who?", "a", "And?"]


def test_half_a_line_of_a_killed_child_costs_only_itself(home: Home) -> None:
    folder = ChatFolder.create(home, [BASE])
    folder.ask(Question(prompt="Why?"))
    say(folder, 0, AnswerPiece(turn=1, text="whole"))
    with folder.answers(0).open("ab") as file:
        file.write('{"turn":1,"text":"你'.encode()[:-1] + b"\n")
    folder.end(0, 1, Problem.error(Code.CHAT_BUSY))
    answer = folder.turns()[0].answers[0]
    assert (answer.text, answer.end) == ("whole", "failed")


@pytest.mark.parametrize("name", ["20260101-000000-abcd", "..", "", "a" * 300])
def test_unknown_chat_is_refused(home: Home, name: str) -> None:
    with pytest.raises(FineTuneError) as caught:
        ChatFolder.named(home, name)
    assert caught.value.problems[0].code == Code.CHAT_NOT_FOUND
