"""What is trained on: one conversation and which of its turns are trained, or one plain text."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, PlainSerializer, model_validator

SCHEMA_VERSION = 2
Role = Literal["system", "user", "assistant", "tool"]


class ToolCall(BaseModel):
    """A function that the assistant calls; `arguments` as an object, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, object] = {}
    id: str | None = None


class Message(BaseModel):
    """One turn. `train` says whether the model learns to write it; only assistant turns ever do.

    `reasoning` is what the assistant thinks before it answers, where the data keeps it apart from the answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    content: str
    train: bool = False
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    name: str | None = None
    tool_call_id: str | None = None


class Example(BaseModel):
    """One row of a dataset in the one shape that everything after reading works on.

    Either `messages` is a conversation, or `text` is a plain text of which every token is trained on. `row` counts
    rows of the source from 1; `line` is the line of the source file on which the row starts, from 1, or None
    where the format has no lines (Parquet). `tools` are JSON schemas of functions. `source` says which of the
    parts of a mixed dataset the row comes from. `doubts` are the codes of what was noticed about it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    messages: tuple[Message, ...] = ()
    text: str | None = None
    tools: tuple[dict[str, object], ...] = ()
    row: int
    line: int | None = None
    source: int = 0
    doubts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.messages and self.text is None:
            raise ValueError("should have messages or a text")
        return self

    def to_record(self) -> dict[str, object]:
        """What is written to disk: without the fields that are as by default."""
        return self.model_dump(exclude_defaults=True) | {"schema_version": self.schema_version}


ExampleRecord = Annotated[Example, PlainSerializer(Example.to_record)]
"""An example inside an answer, as short as on the disk."""
