"""The events of a run, one JSON object per line. `docs/run-folder.md` shows a sample of each kind.

The file is append-only and has one writer. A reader stops at the last newline (an incomplete last line is not an
event yet) and skips unknown kinds. `seq` counts across all attempts of the run. After a resume, steps of earlier
attempts beyond `resumed_from_step` no longer count (`interfaces/history.py`).
"""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from interfaces.problems import Problem
from interfaces.records import require_schema

SCHEMA_VERSION: Literal[1] = 1
TAIL_BYTES = 1 << 16
PhaseName = Literal[
    "download", "data", "model", "tokenize", "sample", "train", "evaluate", "save", "answer", "export", "prove", "push"
]


class _Event(BaseModel):
    # NaN and infinity are serialized as strings: bare NaN is not valid JSON, and null would hide the value.
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    schema_version: Literal[1] = SCHEMA_VERSION
    seq: int = 0
    attempt: int = 1
    time: float = 0.0
    """Wall clock, in seconds since 1970. Use it for display, never for ordering."""


class Started(_Event):
    """The trainer has started. The probe chose `device`, `dtype`, and `threads`."""

    kind: Literal["started"] = "started"
    run: str
    model_name: str
    device: str
    dtype: str
    threads: int
    resumed_from_step: int | None = None


class Phase(_Event):
    """The current phase of the trainer. `done` and `total` are in `unit` if progress is known."""

    kind: Literal["phase"] = "phase"
    phase: PhaseName
    done: int | None = None
    total: int | None = None
    unit: Literal["bytes", "rows", "prompts", "batches", ""] = ""


class Step(_Event):
    """One update of the adapter. `loss` is the mean per trained token in nats; `tokens` excludes padding.

    For methods that compare answers, it is the mean per pair or answer, and `metrics` has what else TRL measures, by its
    names, such as `rewards/margins`.
    """

    kind: Literal["step"] = "step"
    step: int
    total_steps: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float | None = None
    tokens: int
    trained_tokens: int
    seconds: float
    """Time since the previous step, without evaluation and saving."""
    memory_bytes: int
    peak_memory_bytes: int = 0
    """The peak so far; 0 if it is unknown."""
    metrics: dict[str, float] | None = None


class Evaluated(_Event):
    """The validation loss at a step, and the metrics: as those of a `Step`, over the validation rows."""

    kind: Literal["evaluated"] = "evaluated"
    step: int
    loss: float
    examples: int
    seconds: float
    metrics: dict[str, float] | None = None


class Sampled(_Event):
    """A sample prompt and its greedy answer. That of step 0 is the base model's, whenever it was taken."""

    kind: Literal["sampled"] = "sampled"
    step: int
    prompt: str
    answer: str


class CheckpointCommitted(_Event):
    """A resume can start from this checkpoint. `path` is relative to the run folder; `seconds` is the save time."""

    kind: Literal["checkpoint_committed"] = "checkpoint_committed"
    step: int
    path: str
    size_bytes: int
    seconds: float = 0.0


class Stopping(_Event):
    """The trainer has seen a stop request. `within_seconds` bounds the stop: one batch, one save, and the exit."""

    kind: Literal["stopping"] = "stopping"
    mode: Literal["save", "discard"]
    within_seconds: float


class Warned(_Event):
    """Something that the user should know. The run continues."""

    kind: Literal["warned"] = "warned"
    problem: Problem


class Failed(_Event):
    """The final event of a run that could not continue."""

    kind: Literal["failed"] = "failed"
    step: int
    problem: Problem


class Stopped(_Event):
    """The final event of a run that stopped on request or early. `resumable` means that a checkpoint exists."""

    kind: Literal["stopped"] = "stopped"
    step: int
    resumable: bool


class Finished(_Event):
    """The final event of a run that completed. An evaluation has no steps and leaves no adapter."""

    kind: Literal["finished"] = "finished"
    step: int
    adapter: str = ""
    peak_memory_bytes: int
    seconds: float


Event = (
    Started | Phase | Step | Evaluated | Sampled | CheckpointCommitted | Stopping | Warned | Failed | Stopped | Finished
)
KINDS: dict[str, type[_Event]] = {kind.model_fields["kind"].default: kind for kind in get_args(Event)}
ENDINGS = (Failed, Stopped, Finished)

_line: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def parse_event(line: bytes | str, path: Path = Path("events.jsonl")) -> Event | None:
    """Parse one line as an event. Return None for an unknown kind.

    Raises:
        FineTuneError: another version wrote the line. `path` is the file it comes from.
    """
    try:
        return _line.validate_json(line)
    except ValidationError as error:
        for one in error.errors():
            if one["loc"][-1:] == ("schema_version",):
                require_schema(path, one["input"], SCHEMA_VERSION)
        return None


class EventReader:
    """Reads the events appended since the last call. The file may not exist yet."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        """Bytes read so far; always the end of a complete line."""

    def read_new(self) -> list[Event]:
        """Return the new complete lines as events, oldest first."""
        return [event for line in self.read_lines() if (event := parse_event(line, self.path)) is not None]

    def read_lines(self, most: int = -1) -> list[bytes]:
        """Return the new complete lines, oldest first: about `most` bytes if it is given, but at least one line."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                text = file.read(most)
                if most >= 0 and b"\n" not in text:
                    text += file.readline()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self.offset += len(whole)
        return whole.splitlines()


def read_events(path: Path) -> list[Event]:
    """Read all events of a run so far."""
    return EventReader(path).read_new()


def read_tail(path: Path, size: int = TAIL_BYTES) -> list[Event]:
    """Read the last events, at least one if any exist, in a time that doesn't depend on the size of the file."""
    try:
        now = path.stat()
        return list(_tail(path, size, now.st_size, now.st_mtime_ns))
    except (FileNotFoundError, NotADirectoryError):
        return []


@lru_cache(maxsize=32)
def _tail(path: Path, size: int, _bytes: int, _time: int) -> tuple[Event, ...]:
    """The tail of a file that has not changed since: several tabs ask about the same run each second."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, io.SEEK_END)
            while True:
                start = max(end - size, 0)
                file.seek(start)
                text = file.read(end - start)
                lines = text[: text.rfind(b"\n") + 1].splitlines()
                # The first line is incomplete unless the block starts at the beginning of the file.
                events = [
                    event for line in lines[1 if start else 0 :] if (event := parse_event(line, path)) is not None
                ]
                if events or not start:
                    return tuple(events)
                size *= 4
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ()
