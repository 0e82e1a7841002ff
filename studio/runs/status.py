"""What a page shows of a run: its state, its figures, and new points of the curves."""

from __future__ import annotations

from pydantic import BaseModel, Field

from interfaces.problems import Changes


class Curve(BaseModel):
    """Losses by step, with the tokens and the seconds of training until then. One that is not finite is a gap.

    `metrics` are those of the run's method, by TRL's names.
    """

    x: list[int]
    y: list[float | None]
    tokens: list[int]
    seconds: list[float]
    metrics: dict[str, list[float | None]] = Field(default_factory=dict)


class StepCurve(Curve):
    """The steps of a run, with everything that is known of each. Memory is in bytes, speed in tokens per second."""

    learning_rate: list[float]
    grad_norm: list[float | None]
    memory: list[int]
    speed: list[float | None]


class Curves(BaseModel):
    """Both curves of a run, or a part of them."""

    train: StepCurve
    validation: Curve


class PhaseTime(BaseModel):
    """A phase before the first step, in the page's language, and how long it has taken so far."""

    name: str
    seconds: float


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
    tags: list[str]
    note: str
    phase: str
    phases: list[PhaseTime]
    done: int | None
    """The progress of the phase out of `total`, in `unit`; None if unknown."""
    total: int | None
    unit: str
    step: int
    total_steps: int
    epoch: float
    loss: float | None
    validation_loss: float | None
    metrics: dict[str, float]
    """The newest metrics of the run's method: of the last evaluation, or of the last step where there is none."""
    eta_seconds: float | None
    tokens_per_second: float | None
    memory_bytes: int | None
    peak_memory_bytes: int | None
    estimated_bytes: int | None
    attempt: int
    resumed_from_step: int | None
    resumes: list[int]
    """The steps from which attempts have resumed."""
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
    generates: bool
    """Whether the result answers prompts. That of a reward model scores answers."""


class RunUpdate(Curves):
    """The update for a page that has seen all events up to some event; `last` is the event to continue from.

    `reset` tells the page to drop its points, because a resume repeats some of them, or because there are too many new
    ones to send individually.
    """

    last: int
    reset: bool
    status: RunStatus
