"""Chats with fine-tuned models: the records in a chat's folder, and what the studio asks of the child that answers.

    chat.json                who answers, written once by the studio
    turns.jsonl              each prompt, with how it is to be answered; written by the studio
    answers-<speaker>.jsonl  the answers of one speaker, piece by piece; written by a child

So each file has one writer, and a page that was closed reads on where it stopped.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from interfaces.config import FineTuneConfig
from interfaces.example import Message
from interfaces.problems import Problem

MOST_SPEAKERS = 3
MOST_CHARACTERS = 100_000
"""Of a prompt or a system prompt."""
MOST_POSITIONS = 8192
"""Of a conversation with a GGUF file: llama.cpp reserves the memory of all keys and values at once."""


class Speaker(BaseModel):
    """Who answers: the result of a run, the adapter of one of its checkpoints (`step`), or its base model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    base: bool = False
    step: int | None = None


class Sampling(BaseModel):
    """How tokens are chosen. A temperature of 0 is greedy: always the most likely token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=0.0, ge=0, le=5)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_new_tokens: int = Field(default=256, ge=1, le=8192)
    seed: int = Field(default=0, ge=0, lt=2**63)


class Question(BaseModel):
    """A prompt and how it is to be answered.

    `plain` continues a text, without the chat template. `alone` is a question outside the conversation: what was
    said before isn't part of it, and it isn't part of later ones.
    """

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(min_length=1, max_length=MOST_CHARACTERS)
    system: str = Field(default="", max_length=MOST_CHARACTERS)
    plain: bool = False
    alone: bool = False
    sampling: Sampling = Sampling()


class Turn(Question):
    """A line of `turns.jsonl`. Turns are numbered from 1."""

    turn: int
    time: float


End = Literal["complete", "length", "stopped", "failed"]


class AnswerPiece(BaseModel):
    """A line of `answers-<speaker>.jsonl`: more text, or, with `end`, how the answer ended and what it took."""

    turn: int
    text: str = ""
    end: End | None = None
    tokens: int = 0
    prompt_tokens: int = 0
    first_seconds: float | None = None
    """From the request to the first token."""
    seconds: float = 0.0
    problem: Problem | None = None


class ChatModelSettings(BaseModel):
    """What a child loads: the base model as a run with this config does, or instead the GGUF file of an export."""

    config: FineTuneConfig
    gguf: str = ""
    written: int = 0
    """When a model in a run's folder was last written, in nanoseconds: a child with older weights isn't asked again."""


class SpeakerRequest(BaseModel):
    """What one speaker is asked: the conversation so far, and the file for its answer. Without `adapter`, the base."""

    file: str
    adapter: str = ""
    messages: list[Message]


class AnswerRequest(BaseModel):
    """A turn for all speakers of one base model; the answer on stdout is an `Answered`. `number` names the request."""

    op: Literal["answer"] = "answer"
    number: int = 0
    turn: int
    speakers: list[SpeakerRequest]
    plain: bool = False
    sampling: Sampling


class LeaveRequest(BaseModel):
    """Stop answering the request with this number at its next token, or before it begins. Nothing answers it."""

    op: Literal["leave"] = "leave"
    number: int


ChatRequest = Annotated[AnswerRequest | LeaveRequest, Field(discriminator="op")]


class Answered(BaseModel):
    """All speakers of a request are done."""

    turn: int
