"""What a page shows of a run: the state it is in, its figures, and the points it hasn't seen yet."""

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
    """A sample prompt, the base model's answer, the newest one, and all on the way."""

    prompt: str
    before: str = ""
    after: str = ""
    answers: list[AnswerAt] = Field(default_factory=list)


class RunStatus(BaseModel):
    """One run as it stands. Sentences are in the page's language, losses in nats per trained token."""

    state: str
    over: bool
    name: str
    phase: str
    done: int | None
    """Of `total`, in `unit`: how far the phase is, where that is known."""
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
    stop_seconds: float | None
    """Until a stop is done at the latest."""
    problem: str
    code: str
    cure: Changes
    """A change of settings that would let the run succeed."""
    evidence: list[str]
    """The last lines of the log of a run that failed."""
    warnings: list[str]
    samples: list[SamplePair]
    adapter: bool


class RunUpdate(BaseModel):
    """What a page needs that has seen everything up to some event; `last` is the event to ask from next time.

    `reset` is true when the page must forget its points: a resume took some of them back, or there are too many new
    ones to send one by one.
    """

    last: int
    reset: bool
    train: Curve
    validation: Curve
    status: RunStatus
