"""Records about datasets that the trainer process and the studio exchange, and that the files of a dataset store."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from interfaces.dataset_requests import Origin
from interfaces.errors import FineTuneError
from interfaces.example_file import RowKinds
from interfaces.files import write_json
from interfaces.folders import DatasetFolder
from interfaces.method_settings import METHODS, Rows, methods_for
from interfaces.problems import Changes, Code, Problem
from interfaces.records import read_record


class RowProblem(BaseModel):
    """A line of `problems.jsonl`: the problem of a row, its position in the file, and the start of its text."""

    row: int | None
    line: int | None = None
    offset: int | None = None
    length: int = 0
    """Bytes from `offset`."""
    problem: Problem
    text: str = ""
    whole: str | None = None
    """The full row, if the caller asked for it and it can be edited."""


class Part(BaseModel):
    """A dataset of a mix. Weight 2 uses each row twice, 0.5 half of the rows."""

    id: str
    weight: float


class DatasetReport(BaseModel):
    """`report.json`: the result of adding a dataset. It is written last, so its presence means a complete dataset.

    Counts are rows. `usable` rows can be trained on, with or without warnings; `kinds` counts problems by code.
    """

    name: str
    format: str | None = None
    """None where no row is valid."""
    columns: dict[str, str] = Field(default_factory=dict)
    """The role of each used column."""
    known_columns: list[str] = Field(default_factory=list)
    unused_columns: list[str] = Field(default_factory=list)
    unused_keys: dict[str, int] = Field(default_factory=dict)
    """Unused keys inside messages, with their number of occurrences."""
    sample_by: str = "paragraph"
    rows: int
    # Accept the old names too, so that datasets from earlier versions need not be added again.
    valid: int = Field(validation_alias=AliasChoices("valid", "good"))
    invalid: int = Field(validation_alias=AliasChoices("invalid", "at_fault"))
    suspicious: int = Field(validation_alias=AliasChoices("suspicious", "doubtful"))
    usable: int
    holds: RowKinds = Field(default_factory=RowKinds)
    kinds: dict[str, int] = Field(default_factory=dict)
    kinds_invalid: dict[str, int] = Field(
        default_factory=dict, validation_alias=AliasChoices("kinds_invalid", "kinds_at_fault")
    )
    first: list[RowProblem] = Field(default_factory=list)
    bytes: int
    sources: list[str]
    parts: list[Part] | None = None
    """The datasets of a mix; None for any other dataset."""
    origin: Origin | None = None
    """The dataset of which this is a changed copy or a part."""
    sha256: str = ""
    examples_sha256: str = ""
    added: float = 0.0
    """Seconds since 1970."""

    @classmethod
    def of(cls, folder: DatasetFolder) -> DatasetReport | None:
        """Read the report of a dataset folder. Return None if it is missing or damaged.

        Raises:
            FineTuneError: another version wrote the report.
        """
        record = read_record(folder.report)
        try:
            return None if record is None else cls.model_validate(record)
        except ValidationError:
            return None

    @classmethod
    def required(cls, folder: DatasetFolder) -> DatasetReport:
        """Read the report, which must exist.

        Raises:
            FineTuneError: the dataset doesn't exist, or another version wrote the report.
        """
        report = cls.of(folder)
        if report is None:
            raise FineTuneError.of(Code.DATASET_NOT_FOUND, value=folder.id)
        return report

    def write(self, folder: DatasetFolder) -> None:
        write_json(folder.report, self.model_dump(mode="json", exclude_none=True))

    def blocking(self, bad_rows: str) -> Problem | None:
        """Return the rows that block a start as one problem, or None if nothing blocks it.

        `bad_rows` is the setting: "stop" requires that no row is invalid, "skip" requires at least one valid row.
        """
        if self.valid if bad_rows == "skip" else self.usable and not self.invalid:
            return None
        first = [one.problem.model_dump(mode="json") for one in self.first if one.problem.severity == "error"]
        count = self.invalid or self.suspicious
        return Problem.error(Code.BAD_ROWS, path=self.name, count=count, rows=self.rows, first=first)

    @property
    def lacks_answers(self) -> bool:
        """Whether an earlier version added the dataset, which left out rejected and undesired answers."""
        return (self.format == "preference" and not self.holds.pairs) or "row_undesired" in self.kinds

    def unfit_for(self, method: str, bad_rows: str) -> Problem | None:
        """Return why a method can't train on these rows, with a method that can; None if it can.

        With `bad_rows` "skip", fine-tuning leaves out the answers that are marked as undesired.
        """
        holds, rows = self.holds, METHODS[method].rows
        if self.lacks_answers and rows in ("pairs", "labels"):
            return Problem.error(Code.METHOD_UNFIT, path=self.name, method=method, reason="added_before")
        judged = holds.desired + holds.undesired
        all_texts = holds.texts == self.usable
        suited: Rows = "pairs" if holds.pairs else "labels" if holds.undesired else "texts" if all_texts else "answers"
        avoided = 0 if bad_rows == "skip" and holds.undesired < self.usable else holds.undesired
        counts = {"answers": holds.pairs + avoided, "pairs": self.usable - holds.pairs}
        counts |= {"labels": self.usable - holds.pairs - judged, "texts": self.usable - holds.texts}
        if not counts[rows] and (rows != "labels" or holds.pairs or (holds.desired and holds.undesired)):
            return None
        if rows == "labels" and judged == self.usable:
            reason, known = ("only_desired" if holds.desired else "only_undesired"), []
        else:
            reason = "has_rejected" if rows == "answers" else f"needs_{rows}"
            known = [] if suited == rows else methods_for(suited)
        params = {"path": self.name, "method": method, "reason": reason, "count": counts[rows], "rows": self.usable}
        change: Changes | None = {"method": known[0]} if known else None
        return Problem(
            code=Code.METHOD_UNFIT,
            params={**params, "known": known, "other": "use_other_method" if known else ""},
            change=change,
        )


class NamedReport(DatasetReport):
    """A report with the dataset's display name."""

    id: str
    editable: bool


class Token(BaseModel):
    """A token and its piece of the text. The concatenated pieces of a row are its text."""

    id: int
    text: str
    trained: bool
    special: bool = False


class Stop(BaseModel):
    """The last end-of-turn token and its fate. The model learns to stop only if this token is trained on."""

    token: str | None
    fate: Literal["trained", "read", "cut", "none"]


class ShownRow(BaseModel):
    """One row as a model sees it. `length`, `cut`, and `trained` count tokens.

    A row of pairs is shown with its chosen answer, and `rejected` is the same with the rejected one. `label` says whether
    a single answer is desired, if that is known.
    """

    row: int
    line: int | None
    text: str
    tokens: list[Token]
    length: int
    max_length: int
    cut: int
    trained: int
    stop: Stop
    warnings: list[str]
    notes: list[Problem]
    rejected: ShownRow | None = None
    label: bool | None = None
    position: int | None = None
    rows: int | None = None


class SourceSplit(BaseModel):
    """The training and validation rows of one source of a mix."""

    name: str
    train: int
    validation: int


class SplitCounts(BaseModel):
    """The number of training and validation rows. `leaked_rows` are the first rows that appear in both splits."""

    train: int
    validation: int
    leaked: int = 0
    leaked_rows: list[int] = Field(default_factory=list)
    sources: list[SourceSplit] = Field(default_factory=list)


class HubSplit(BaseModel):
    """A split of a Hub dataset, and the size of its download."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    files: int
    bytes: int


class HubSplits(BaseModel):
    """The configs and splits that a Hub dataset offers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    configs: tuple[str, ...]
    config: str
    """The config of these splits: the requested one, else the default, else the first."""
    splits: tuple[HubSplit, ...]
    first: tuple[str, ...] = ()
    """The first rows of the first split, each as JSON; empty if they can't be streamed."""
