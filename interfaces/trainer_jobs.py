"""The messages between the studio and its short-lived child processes: requests, progress, and answers as JSON lines.

`trainer/cli.py` writes what `studio/processes/trainer_child.py` reads. What a row looks like is in `dataset_records.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from interfaces.config import FineTuneConfig
from interfaces.example import ExampleRecord
from interfaces.problems import Problem

_defaults = FineTuneConfig.model_fields


class FormatPreview(BaseModel):
    """A preview of the first rows of a file, shown while the rest is being read."""

    name: str
    format: str
    columns: dict[str, str]
    known_columns: list[str]
    examples: list[ExampleRecord]


class JobProgress(BaseModel):
    """The progress of a job: (done, total) in bytes, files, or rows, and the rows read so far."""

    progress: tuple[int, int] | None = None
    rows: int | None = None
    preview: FormatPreview | None = None


OnProgress = Callable[[JobProgress], None]


def ignore_progress(_update: JobProgress) -> None:
    """Ignore progress updates."""


class AddedDataset(BaseModel):
    """The id of a new dataset."""

    dataset: str


class WrittenPath(BaseModel):
    """The path of a job's result."""

    path: str


class AdapterDifference(BaseModel):
    """How far the weights of two adapters are apart. `relative` is the norm of the difference over that of the first."""

    equal: bool
    """All tensors have the same names, sizes and bits."""
    largest: float | None
    """Of a single weight; None if they have different tensors."""
    relative: float | None


class HubModel(BaseModel):
    """A model in the Hub's search results. Missing values are None."""

    id: str
    downloads: int | None
    gated: bool
    license: str | None
    parameters: int | None
    download_bytes: int | None


class HubModelFacts(HubModel):
    """One model of the Hub: `config` is the path of its config.json in the cache, `revision` the commit."""

    revision: str | None
    config: str
    download_bytes: int


class HubModels(BaseModel):
    """The models that a search found, most downloaded first."""

    models: list[HubModel]


class _Marked(BaseModel):
    """A request whose answer depends on which tokens are trained on."""

    method: str = _defaults["method"].default
    train_on_reasoning: bool = _defaults["train_on_reasoning"].default
    assistant_only_loss: bool = _defaults["assistant_only_loss"].default


class _AsModel(_Marked):
    """A request about a dataset by its id. The answer depends on where rows are truncated."""

    dataset: str = ""
    max_length: int = Field(default=_defaults["max_length"].default, ge=1)


class RowRequest(_AsModel):
    """One row by its position from 0; the answer is a `ShownRow`."""

    op: Literal["row"] = "row"
    position: int


class FindRequest(_AsModel):
    """The next row of a kind from position `start` on, then from the first row on; the answer is a `FoundRow`."""

    op: Literal["find"] = "find"
    kind: Literal["text", "longest", "cut", "lost", "suspicious", "row"]
    text: str = ""
    row: int = 0
    start: int = 0


class _Divided(_AsModel):
    """A request whose answer depends on which rows are held out for validation."""

    share: float = _defaults["validation_split"].default
    seed: int = _defaults["seed"].default
    bad_rows: str = _defaults["bad_rows"].default
    validation: str = ""
    """The id of a validation dataset; with it `share` is unused."""


class SplitRequest(_Divided):
    """How rows divide into training and validation; the answer is a `SplitCounts`."""

    op: Literal["split"] = "split"


class StatsRequest(_Divided):
    """Lengths and steps; the answer is a `TokenStats`. `whole` counts all rows of a large dataset, not a sample."""

    op: Literal["stats"] = "stats"
    batch: int = Field(default=_defaults["per_device_train_batch_size"].default, ge=1)
    accumulation: int = Field(default=_defaults["gradient_accumulation_steps"].default, ge=1)
    long_rows: str = _defaults["long_rows"].default
    budget: int = Field(default=0, ge=0)
    """Tokens of a packed batch; 0 without packing."""
    whole: bool = False


class FileRowRequest(_Marked):
    """One row of a file that isn't a dataset yet, by its number from 1. The answer is a `ShownRow`."""

    op: Literal["file_row"] = "file_row"
    file: str
    row: int
    columns: dict[str, str] = {}
    sample_by: str = "paragraph"
    max_length: int


PreviewRequest = Annotated[
    RowRequest | FindRequest | SplitRequest | StatsRequest | FileRowRequest, Field(discriminator="op")
]


class FoundRow(BaseModel):
    """The position of a row that was looked for, from 0; None where there is none."""

    position: int | None


class ForeignAdapter(BaseModel):
    """An adapter that was trained elsewhere: its base model and its settings."""

    base: str
    r: int
    lora_alpha: float
    use_rslora: bool
    use_dora: bool
    target_modules: list[str]
    warnings: list[Problem]


class JobLine(JobProgress):
    """A line that a child prints: how far it is, or the end of a job with its result or its problems."""

    result: dict[str, object] | None = None
    problems: list[Problem] | None = None
