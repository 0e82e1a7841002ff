"""What the pages ask about datasets, and how the answers look there: problems as sentences in the page's language."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from fastapi import Body
from pydantic import BaseModel, Field, SerializeAsAny

from interfaces.dataset_records import NamedReport, RowProblem, ShownRow, SplitCounts
from interfaces.example import ExampleRecord
from interfaces.problems import Problem
from interfaces.row_lengths import TokenStats
from interfaces.texts import row_reason, sentence
from interfaces.trainer_jobs import FindRequest, FormatPreview, FoundRow, RowRequest, SplitRequest, StatsRequest
from studio.jobs import DatasetJob
from studio.web.errors import detail_of


class JobStarted(BaseModel):
    """The id of a job to ask about."""

    job: str


class JobStatus(BaseModel):
    """How far a job is: `progress` is (done, total), `detail` its problems as sentences."""

    id: str
    done: bool
    progress: tuple[int, int]
    rows: int
    preview: FormatPreview | None
    result: SerializeAsAny[BaseModel] | None
    detail: str
    problems: list[Problem]

    @classmethod
    def of(cls, job: DatasetJob, language: str) -> Self:
        return cls(
            id=job.id, done=job.ended is not None, progress=job.progress, rows=job.rows, preview=job.preview,
            result=job.result, detail=detail_of(job.problems, language), problems=list(job.problems),
        )  # fmt: skip


class ShownProblem(BaseModel):
    """A problem of a row; `reason` is the part of the sentence that says what is wrong."""

    row: int | None
    line: int | None
    offset: int | None
    text: str
    whole: str | None
    field: str | None
    kind: str
    severity: str
    reason: str

    @classmethod
    def of(cls, found: RowProblem, language: str) -> Self:
        problem, params = found.problem, found.problem.params
        field, cell = params.get("field"), params.get("cell")
        return cls(
            row=found.row, line=found.line, offset=found.offset, text=found.text, whole=found.whole,
            field=f"{field} ({cell})" if cell else field, kind=problem.code.removeprefix("row_"),
            severity=problem.severity, reason=row_reason(problem, language),
        )  # fmt: skip


class DatasetPage(NamedReport):
    """A dataset with its first problems and rows; `kinds` without what all their names begin with."""

    first: list[RowProblem] = Field(default_factory=list, exclude=True)
    first_problems: list[ShownProblem]
    examples: list[ExampleRecord]

    @classmethod
    def of_report(cls, report: NamedReport, examples: list[ExampleRecord], language: str) -> Self:
        kinds = {kind.removeprefix("row_"): count for kind, count in report.kinds.items()}
        first = [ShownProblem.of(one, language) for one in report.first]
        return cls(**{**dict(report), "kinds": kinds}, first_problems=first, examples=examples)


class _OfModel(BaseModel):
    """Which model's tokenizer answers. It is downloaded only with `online`: when a person has asked for it."""

    model: str = ""
    revision: str = "main"
    online: bool = False


class RowQuestion(_OfModel, RowRequest):
    pass


class FindQuestion(_OfModel, FindRequest):
    pass


class SplitQuestion(_OfModel, SplitRequest):
    pass


class StatsQuestion(_OfModel, StatsRequest):
    whole: Literal[False] = False
    """All rows of a large dataset are counted by a job, not by an answer that a page waits for."""


Question = Annotated[RowQuestion | FindQuestion | SplitQuestion | StatsQuestion, Body(discriminator="op")]


class RowAnswer(ShownRow):
    """A row, and the other answer of a pair, with their notes in words."""

    notes: list[Problem] = Field(exclude=True)
    remarks: list[str]
    rejected: RowAnswer | None = None

    @classmethod
    def of(cls, row: ShownRow, language: str) -> Self:
        other = cls.of(row.rejected, language) if row.rejected else None
        return cls(**{**dict(row), "rejected": other}, remarks=in_words(row.notes, language))


class StatsAnswer(TokenStats):
    """Figures with their warnings in words."""

    warnings: list[Problem] = Field(exclude=True)
    remarks: list[str]


Answer = RowAnswer | FoundRow | SplitCounts | StatsAnswer


def in_words(problems: list[Problem], language: str) -> list[str]:
    return [sentence(problem, language) for problem in problems]
