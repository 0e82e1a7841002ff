"""What a page shows of a run: its state, its figures, and new points of the curves."""

from __future__ import annotations

from pydantic import BaseModel, Field

from interfaces.problems import Changes


class Curve(BaseModel):
    """Points by step; a loss that is not finite is a gap."""

    x: list[int]
    y: list[float | None]


class AnswerAt(BaseModel):
    """What the model answered at a step."""

    step: int
    answer: str


class SamplePair(BaseModel):
    """A sample prompt with the base model's answer, the newest answer, and all answers in between."""

    prompt: str
    before: str = ""
    after: str = ""
    answers: list[AnswerAt] = Field(default_factory=list)


class CheckpointAt(BaseModel):
    """A checkpoint that a resume can start from. `validation_loss` is the one of its step, if there was an evaluation."""

    step: int
    size_bytes: int
    validation_loss: float | None


class RunStatus(BaseModel):
    """The current status of a run. Sentences are in the page's language, losses in nats per trained token."""

    state: str
    over: bool
    name: str
    phase: str
    done: int | None
    """The progress of the phase out of `total`, in `unit`; None if unknown."""
    total: int | None
    unit: str
    step: int
    total_steps: int
    epoch: float
    loss: float | None
    validation_loss: float | None
    eta_seconds: float | None
    tokens_per_second: float | None
    memory_bytes: int | None
    peak_memory_bytes: int | None
    estimated_bytes: int | None
    attempt: int
    resumed_from_step: int | None
    saved_step: int | None
    checkpoints: list[CheckpointAt]
    stop_seconds: float | None
    """The maximum remaining time of a stop."""
    problem: str
    code: str
    fix: Changes
    """A change of settings that would let the run succeed."""
    evidence: list[str]
    """The last lines of the log of a run that failed."""
    warnings: list[str]
    reading: str
    """What the curves say in plain words; empty if it is too early, or if there is nothing to act on yet."""
    samples: list[SamplePair]
    adapter: bool


class RunUpdate(BaseModel):
    """The update for a page that has seen all events up to some event; `last` is the event to continue from.

    `reset` tells the page to drop its points, because a resume repeats some of them, or because there are too many new
    ones to send individually.
    """

    last: int
    reset: bool
    train: Curve
    validation: Curve
    status: RunStatus
