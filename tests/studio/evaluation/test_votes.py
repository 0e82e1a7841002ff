"""Blind votes: the order says nothing, votes are kept, counted, replaced and taken back."""

from __future__ import annotations

import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from studio.evaluation.votes import undo_vote, vote, votes_of
from tests.support.evaluations import answers, question, recorded_evaluation
from tests.support.records import recorded_run


def test_votes_say_which_model_is_better(home: Home) -> None:
    questions = [question(number, f"Q{number}", "yes") for number in range(1, 42)]
    lines = [line for one in questions[:-1] for line in answers(one.number, "from base", "from tuned")]
    folder = recorded_evaluation(recorded_run(home), questions, [*lines, *answers(41, "same", "same")])
    first, tuned_is_a = votes_of(folder), []
    assert (first.open, first.share, first.difference.verdict) == (40, None, "too_few")
    while (found := votes_of(folder)).next is not None:
        pair = found.next
        assert {pair.a, pair.b} == {"from base", "from tuned"}, "equal answers are never shown"
        tuned_is_a.append(pair.a == "from tuned")
        side = "a" if pair.a == "from tuned" else "b"
        vote(folder, pair.number, "tie" if pair.number > 30 else side)
    assert 8 < sum(tuned_is_a) < 32, "the order changes from question to question"
    done = votes_of(folder)
    assert (done.tuned, done.base, done.ties, done.open) == (30, 0, 10, 0)
    assert done.difference.verdict == "better"
    assert done.interval is not None
    assert done.interval.low > 0.85
    vote(folder, 1, "tie")
    assert votes_of(folder).tuned == 29, "a later vote replaces the one before"
    undo_vote(folder)
    assert votes_of(folder).tuned == 30
    with pytest.raises(FineTuneError, match="41"):
        vote(folder, 41, "a")
    with folder.votes.open("a") as file:
        file.write('{"number": 2')  # written by a studio that was killed
    assert votes_of(folder).tuned == 30


def test_few_votes_say_nothing(home: Home) -> None:
    questions = [question(number, f"Q{number}", "yes") for number in range(1, 9)]
    lines = [line for one in questions for line in answers(one.number, "from base", "from tuned")]
    folder = recorded_evaluation(recorded_run(home), questions, lines)
    undo_vote(folder)
    for number in range(1, 7):
        pair = votes_of(folder).next
        assert pair is not None
        wins = number % 2 == 0
        vote(folder, pair.number, "a" if (pair.a == "from tuned") == wins else "b")
        assert votes_of(folder).difference.verdict == ("too_few" if number < 6 else "cant_tell")
