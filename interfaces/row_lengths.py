"""How long a dataset's rows are in tokens, and what that means for a run: as counted by `trainer/tokens/length_figures.py`."""

from __future__ import annotations

from pydantic import BaseModel, Field

from interfaces.problems import Problem


class Histogram(BaseModel):
    """Rows by length: `counts[i]` rows are from `edges[i]` to `edges[i + 1]` tokens long."""

    edges: list[int]
    counts: list[int]


class CutHistogram(Histogram):
    """With what a max_length of `edges[i + 1]` would do: `cut[i]` rows are truncated, `lost[i]` keep no trained token."""

    cut: list[int]
    lost: list[int]


class RowLengths(BaseModel):
    """What an estimate needs to know about a dataset's rows. `counted` of `rows` rows were looked at; the rest are tokens."""

    rows: int
    counted: int
    longest: int
    tokens_kept: int
    trained_tokens: int
    max_length: int
    histogram: Histogram


class LengthFigures(RowLengths):
    """The statistics that the user sees. Counts cover only the counted rows."""

    histogram: CutHistogram
    tokens: int
    median: int
    cut: int
    lost: int
    nothing_to_learn: int
    padding_share: float
    """The share of padding in padded batches, from 0 to 1."""


class RefusedRow(BaseModel):
    """A row that the chat template rejects, and the reason."""

    row: int
    reason: str


class TokenStats(LengthFigures):
    """The answer to a `StatsRequest`: figures of the whole dataset, or of a sample where `sampled` is set."""

    sampled: bool
    refused: int
    first_refused: list[RefusedRow]
    warnings: list[Problem]
    steps_per_epoch: int
    batch: int
    accumulation: int


class StoredLengths(BaseModel):
    """`lengths.json` of a dataset: its rows by the tokenizer of each model that has counted them."""

    models: dict[str, RowLengths] = Field(default_factory=dict)
