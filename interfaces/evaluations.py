"""Evaluations of fine-tuned models: the records in an evaluation's folder (`interfaces/job_folders.py`).

evaluation.json    what is evaluated and how (`EvaluationSpec`), written once by the studio
questions.jsonl    the rows, written by the trainer before the first answer (`EvaluationQuestion`)
answers.jsonl      answers and losses, appended by the trainer (`EvaluationLine`)
result.json        scores and table, written by the studio (`studio/evaluation/scoring.py`)
votes.jsonl        blind votes, appended by the studio
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from interfaces.example import ExampleRecord, Message
from interfaces.files import write_json
from interfaces.folders import RunFolder
from interfaces.job_folders import EvaluationFolder
from interfaces.records import read_as, read_required

Metric = Literal[
    "exact_match", "rouge_l", "chrf", "number_match", "pattern_match", "json_valid", "json_schema", "tool_call"
]
"""How an answer is compared with its reference. The loss needs none, and is always computed."""
METRICS: tuple[Metric, ...] = get_args(Metric)
Side = Literal["base", "tuned"]
SIDES: tuple[Side, ...] = get_args(Side)
QuestionSet = Literal["data", "probe"]
AnswerEnd = Literal["complete", "length", "too_long"]
"""`length`: it reached the maximum. `too_long`: the model has no positions left for an answer."""
HELD_OUT = "held_out"
"""As `dataset`: the rows that the run itself kept for validation."""


class EvaluationSpec(BaseModel):
    """`evaluation.json`. Without `metrics`, they are proposed from the references."""

    model_config = ConfigDict(extra="forbid")

    dataset: str = ""
    """A dataset's id, `HELD_OUT`, or nothing, if only the general questions are asked."""
    dataset_name: str = ""
    columns: dict[str, str] = {}
    probe: bool = False
    """Also ask the general questions, which show what was forgotten."""
    base: bool = True
    """Also evaluate the base model, for comparison."""
    step: int | None = Field(default=None, ge=0)
    """Evaluate the adapter of this checkpoint instead of the run's result."""
    max_rows: int = Field(default=200, ge=0)
    """The most rows of the dataset, chosen by `seed`; 0 is all."""
    max_new_tokens: int = Field(default=256, ge=1, le=8192)
    batch_size: int = Field(default=32, ge=1, le=1024)
    seed: int = Field(default=0, ge=0, lt=2**32)
    metrics: list[Metric] = []
    json_schema: dict[str, object] | None = None
    pattern: str = Field(default="", max_length=1000)
    """A regular expression that an answer has to match somewhere."""
    gate: str = ""
    """Conditions, separated by commas, that decide whether the run has passed (`studio/evaluation/conditions.py`)."""
    recipe: bool = False
    """It belongs to the run's recipe: it is queued when the run has finished, and only its gate is the run's."""
    created: float = 0.0

    @classmethod
    def of(cls, folder: EvaluationFolder) -> Self:
        """
        Raises:
            FineTuneError: the record is missing or damaged, or another version wrote it.
        """
        return read_required(folder.config, cls)

    def write(self, folder: EvaluationFolder) -> None:
        write_json(folder.config, self.model_dump(mode="json"))


class EvaluationQuestion(BaseModel):
    """A row to evaluate. `number` counts from 1; `row` is its number in its dataset.

    `kind` and `accept` are those of a general question: an answer is right if it matches one of the expressions.
    """

    number: int
    set: QuestionSet
    row: int
    example: ExampleRecord
    kind: str = ""
    accept: list[str] = []

    @property
    def asked(self) -> tuple[Message, ...]:
        """The conversation up to the answer that is compared; empty if the row has no answer to compare."""
        return self.example.messages[: self._place] if self._place is not None else ()

    @property
    def reference(self) -> Message | None:
        """The answer that the row holds: its last trained turn. A plain text has none."""
        return self.example.messages[self._place] if self._place is not None else None

    @property
    def _place(self) -> int | None:
        places = [place for place, message in enumerate(self.example.messages) if message.train]
        return places[-1] if places and places[-1] > 0 else None


class EvaluationLine(BaseModel):
    """A line of `answers.jsonl`: an answer, or the loss of a row as the sum over its trained tokens, in nats."""

    side: Side
    number: int
    answer: str | None = None
    tokens: int = 0
    end: AnswerEnd | None = None
    loss: float | None = None
    trained_tokens: int = 0


class EvaluationOrigin(BaseModel):
    """`origin.json`: what is evaluated, written by the trainer with the questions."""

    adapter_sha256: str
    rows: int
    leaked: int = 0
    """Rows that the run was also trained on, which are left out."""
    device: str
    dtype: str

    @classmethod
    def of(cls, folder: EvaluationFolder) -> Self | None:
        """None if there is none yet, or it is damaged.

        Raises:
            FineTuneError: another version wrote it.
        """
        return read_as(folder.path / "origin.json", cls)

    def write(self, folder: EvaluationFolder) -> None:
        write_json(folder.path / "origin.json", self.model_dump())


def read_questions(folder: EvaluationFolder) -> list[EvaluationQuestion]:
    """Return the questions of an evaluation; none before the trainer has written them."""
    if not folder.questions.is_file():
        return []
    lines = folder.questions.read_bytes().splitlines()  # of bytes: a text may hold other line separators
    return [EvaluationQuestion.model_validate_json(line) for line in lines]


def read_lines(folder: EvaluationFolder) -> Iterator[EvaluationLine]:
    """Yield the answers and losses so far. A line that a killed trainer has left incomplete is skipped."""
    if folder.answers.is_file():
        with folder.answers.open("rb") as file:
            for line in file:
                with contextlib.suppress(ValidationError):
                    yield EvaluationLine.model_validate_json(line)


class GateOutcome(BaseModel):
    """`evaluations/gate.json`: the outcome of the evaluation that belongs to the run's recipe."""

    passed: bool
    evaluation: int
    failed: list[str] = []
    """The conditions that don't hold, each with the value seen."""

    @classmethod
    def of(cls, run: RunFolder) -> Self | None:
        return read_as(cls.path_of(run), cls)

    def write(self, run: RunFolder) -> None:
        write_json(self.path_of(run), self.model_dump())

    @staticmethod
    def path_of(run: RunFolder) -> Path:
        return run.evaluations / "gate.json"
