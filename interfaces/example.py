"""One training example: a conversation with the turns to train on, two answers to compare, or a plain text."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, PlainSerializer, model_validator

SCHEMA_VERSION = 3
Role = Literal["system", "user", "assistant", "tool"]


class ToolCall(BaseModel):
    """A function call by the assistant. `arguments` maps names to values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, object] = {}
    id: str | None = None


class Message(BaseModel):
    """One turn. `train` marks a turn to train on; only assistant turns can be.

    `reasoning` is the assistant's thinking before the answer, if the data stores it separately.
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
    """One row of a dataset in the normalized format.

    Either `messages` is a conversation, or `text` is a plain text of which every token is trained on. In a preference
    row, the last turns of `messages` are the chosen answer, and `rejected` are the turns that were rejected in favor of
    them; both follow the same prompt. `label` says whether an answer is desired (KTO), None if nobody judged it. `row` is the
    row number in the source, from 1; `line` is the line of the source file on which the row starts, from 1, or None
    if the format has no lines (Parquet). `tools` are JSON schemas of functions. `source` is the index of the part
    that a row of a mixed dataset comes from. `warnings` are the codes of the row's warnings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    messages: tuple[Message, ...] = ()
    rejected: tuple[Message, ...] = ()
    label: bool | None = None
    text: str | None = None
    tools: tuple[dict[str, object], ...] = ()
    row: int
    line: int | None = None
    source: int = 0
    warnings: tuple[str, ...] = Field(default=(), validation_alias=AliasChoices("warnings", "doubts"))
    """`doubts` in rows that were stored before the first release."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.messages and self.text is None:
            raise ValueError("should have messages or text")
        return self

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The turns before the first one that is trained on."""
        first = next((place for place, message in enumerate(self.messages) if message.train), len(self.messages))
        return self.messages[:first]

    def rejected_side(self) -> Example:
        """Return a preference row's conversation with the rejected answer in place of the chosen one."""
        return self.model_copy(update={"messages": (*self.prompt, *self.rejected), "rejected": ()})

    def turns(self) -> tuple[Message, ...]:
        """Return all turns of the row, those of both answers."""
        return (*self.messages, *self.rejected)

    def to_record(self) -> dict[str, object]:
        """Return the record to store, without fields that have their default value."""
        return self.model_dump(exclude_defaults=True) | {"schema_version": self.schema_version}


ExampleRecord = Annotated[Example, PlainSerializer(Example.to_record)]
"""An example inside an answer, as short as on the disk."""
