"""What is learned from: one conversation, and which of its turns are trained."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
Role = Literal["system", "user", "assistant", "tool"]


class Message(BaseModel):
    """One turn. `train` says whether the model learns to write it; only assistant turns ever do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    content: str
    train: bool = False


class Example(BaseModel):
    """One row of a dataset in the one shape that everything after reading works on.

    `row` counts rows of the source from 1; `line` is the line of the source file on which the row
    starts, from 1, or None where the format has no lines (Parquet, a JSON array read as a whole).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    messages: tuple[Message, ...] = Field(min_length=1)
    row: int
    line: int | None = None
