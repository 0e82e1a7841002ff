"""Blind votes: two answers side by side, without saying which is whose, and what the votes say."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from typing import Literal

from pydantic import BaseModel, ValidationError

from interfaces.errors import FineTuneError
from interfaces.evaluations import Side
from interfaces.files import write_text
from interfaces.job_folders import EvaluationFolder
from interfaces.problems import Code
from studio.evaluation.scoring import Answered, answered
from studio.evaluation.statistics import FEWEST_OF_A_SHARE, Difference, Interval, share_interval, sign_test, verdict_of

Choice = Literal["a", "b", "tie"]


class Vote(BaseModel):
    """A line of `votes.jsonl`. A later vote on the same question replaces it."""

    number: int
    choice: Literal["base", "tuned", "tie"]
    time: float


class Pair(BaseModel):
    """A question with two answers in an order that doesn't say which model gave which."""

    number: int
    prompt: str
    reference: str
    a: str
    b: str


class Votes(BaseModel):
    """The votes so far, the share of the tuned model among those that chose one, and the next pair, if there is one.

    `open` counts the pairs without a vote. Pairs with equal answers are left out.
    """

    tuned: int
    base: int
    ties: int
    share: float | None
    interval: Interval | None
    difference: Difference
    open: int
    next: Pair | None


def votes_of(folder: EvaluationFolder) -> Votes:
    """Count the votes of an evaluation, and choose the next pair."""
    cast, pairs = {vote.number: vote for vote in _read(folder)}, _pairs(folder)
    choices = [vote.choice for vote in cast.values()]
    tuned, base = choices.count("tuned"), choices.count("base")
    decided, p = tuned + base, sign_test(tuned, base)
    value = (tuned - base) / decided if decided else 0.0
    verdict = "too_few" if decided < FEWEST_OF_A_SHARE else verdict_of(p, value)
    left = [row for row in pairs if row.question.number not in cast]
    return Votes(
        tuned=tuned, base=base, ties=choices.count("tie"), share=tuned / decided if decided else None,
        interval=share_interval(tuned, decided), difference=Difference(value=value, p=p, verdict=verdict),
        open=len(left), next=_blind(folder, left[0]) if left else None,
    )  # fmt: skip


def vote(folder: EvaluationFolder, number: int, choice: Choice) -> None:
    """Keep a vote.

    Raises:
        FineTuneError: there is no such pair.
    """
    if number not in {row.question.number for row in _pairs(folder)}:
        raise FineTuneError.of(Code.VALUE_INVALID, field="number", value=str(number), expected="a_pair")
    first, second = _order(folder, number)
    chosen: dict[Choice, Side | Literal["tie"]] = {"a": first, "b": second, "tie": "tie"}
    line = Vote(number=number, choice=chosen[choice], time=round(time.time(), 3)).model_dump_json()
    with folder.votes.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def undo_vote(folder: EvaluationFolder) -> None:
    """Take back the last vote; nothing happens if there is none."""
    if folder.votes.is_file():
        lines = folder.votes.read_text(encoding="utf-8").splitlines(keepends=True)
        write_text(folder.votes, "".join(lines[:-1]))


def _read(folder: EvaluationFolder) -> list[Vote]:
    found = []
    for line in folder.votes.read_text(encoding="utf-8").splitlines() if folder.votes.is_file() else ():
        with contextlib.suppress(ValidationError):  # an incomplete line
            found.append(Vote.model_validate_json(line))
    return found


def _pairs(folder: EvaluationFolder) -> list[Answered]:
    """Return the rows of the dataset that both models have answered, and differently."""
    rows = (row for row in answered(folder) if row.question.set == "data" and len(row.answers) == 2)
    return [row for row in rows if row.answers["base"].answer != row.answers["tuned"].answer]


def _blind(folder: EvaluationFolder, row: Answered) -> Pair:
    first, second = (row.answers[side].answer or "" for side in _order(folder, row.question.number))
    reference = row.question.reference
    return Pair(
        number=row.question.number, prompt=row.question.asked[-1].content, a=first, b=second,
        reference=reference.content if reference else "",
    )  # fmt: skip


def _order(folder: EvaluationFolder, number: int) -> tuple[Side, Side]:
    """Return whose answer is A and whose is B: always the same for a question, and nothing that can be seen."""
    seed = f"{folder.id}:{number}".encode()
    return ("tuned", "base") if hashlib.sha256(seed).digest()[0] % 2 else ("base", "tuned")
