"""What the trainer's child and the studio say to each other of datasets, and what a dataset's files hold of it."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.folders import DatasetFolder
from interfaces.problems import Code, Problem
from interfaces.records import read_record


class RowProblem(BaseModel):
    """A line of `problems.jsonl`: what is wrong with a row, where it is in the file, and its beginning."""

    row: int | None
    line: int | None = None
    offset: int | None = None
    length: int = 0
    """Bytes from `offset`."""
    problem: Problem
    text: str = ""
    whole: str | None = None
    """The row itself, where it was asked for and can be edited."""


class Part(BaseModel):
    """A dataset of a mix. Weight 2 takes each row twice, 0.5 half of the rows."""

    id: str
    weight: float


class DatasetReport(BaseModel):
    """`report.json`: what was found when a dataset was added, written last, so that its presence means a whole dataset.

    Counts are rows. `usable` are those that can be trained on, with warnings or without; `kinds` counts problems by code.
    """

    name: str
    format: str | None
    columns: dict[str, str] = Field(default_factory=dict)
    """Which column is used for what."""
    known_columns: list[str] = Field(default_factory=list)
    unused_columns: list[str] = Field(default_factory=list)
    unused_keys: dict[str, int] = Field(default_factory=dict)
    """Keys inside messages that nothing reads, with how often they occur."""
    sample_by: str = "paragraph"
    rows: int
    # Under their first names too: datasets that were added before are not to be added again.
    valid: int = Field(validation_alias=AliasChoices("valid", "good"))
    invalid: int = Field(validation_alias=AliasChoices("invalid", "at_fault"))
    suspicious: int = Field(validation_alias=AliasChoices("suspicious", "doubtful"))
    usable: int
    kinds: dict[str, int] = Field(default_factory=dict)
    kinds_invalid: dict[str, int] = Field(
        default_factory=dict, validation_alias=AliasChoices("kinds_invalid", "kinds_at_fault")
    )
    first: list[RowProblem] = Field(default_factory=list)
    bytes: int
    sources: list[str]
    parts: list[Part] | None = None
    """Of a mix."""
    sha256: str = ""
    examples_sha256: str = ""
    added: float = 0.0
    """Seconds since 1970."""

    @classmethod
    def of(cls, folder: DatasetFolder) -> DatasetReport | None:
        """The report of a dataset's folder; None where there is none, or somebody has damaged it.

        Raises:
            FineTuneError: another version wrote it.
        """
        record = read_record(folder.report)
        try:
            return None if record is None else cls.model_validate(record)
        except ValidationError:
            return None

    @classmethod
    def required(cls, folder: DatasetFolder) -> DatasetReport:
        """As `of`.

        Raises:
            FineTuneError: there is no such dataset, or another version wrote it.
        """
        report = cls.of(folder)
        if report is None:
            raise FineTuneError.of(Code.DATASET_NOT_FOUND, value=folder.id)
        return report

    def write(self, folder: DatasetFolder) -> None:
        write_json(folder.report, self.model_dump(mode="json", exclude_none=True))

    def blocking(self, bad_rows: str) -> Problem | None:
        """The rows that forbid a start, as one problem; None when it can start.

        `bad_rows` is the setting: "stop" needs a dataset without invalid rows, "skip" one valid row.
        """
        if self.valid if bad_rows == "skip" else self.usable and not self.invalid:
            return None
        first = [one.problem.model_dump(mode="json") for one in self.first if one.problem.severity == "error"]
        count = self.invalid or self.suspicious
        return Problem.error(Code.BAD_ROWS, path=self.name, count=count, rows=self.rows, first=first)


class NamedReport(DatasetReport):
    """A report with what a person called the dataset."""

    id: str
    editable: bool


class Token(BaseModel):
    """A token and its piece of the text; the pieces of a row together are its text."""

    id: int
    text: str
    trained: bool
    special: bool = False


class Stop(BaseModel):
    """The last end-of-turn token, and what becomes of it: the model learns to stop only where it is trained on."""

    token: str | None
    fate: Literal["trained", "read", "cut", "none"]


class ShownRow(BaseModel):
    """One row as a model sees it. `length`, `cut` and `trained` are tokens."""

    row: int
    line: int | None
    text: str
    tokens: list[Token]
    length: int
    max_length: int
    cut: int
    trained: int
    stop: Stop
    doubts: list[str]
    notes: list[Problem]
    position: int | None = None
    rows: int | None = None


class SourceSplit(BaseModel):
    """How many rows of one source of a mix are on each side."""

    name: str
    train: int
    validation: int


class SplitCounts(BaseModel):
    """How many rows are trained on and how many measured with. `leaked_rows` are the first that are on both sides."""

    train: int
    validation: int
    leaked: int = 0
    leaked_rows: list[int] = Field(default_factory=list)
    sources: list[SourceSplit] = Field(default_factory=list)


class HubSplit(BaseModel):
    """A split of a Hub dataset: what is fetched for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    files: int
    bytes: int


class HubSplits(BaseModel):
    """What there is to choose from in a dataset of the Hub."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    configs: tuple[str, ...]
    config: str
    """The config whose splits these are: the one asked for, else the default or the first."""
    splits: tuple[HubSplit, ...]
    first: tuple[str, ...] = ()
    """The first rows of the first split, each as JSON; none where they can't be streamed."""
