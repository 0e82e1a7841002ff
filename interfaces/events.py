"""What a run says, one JSON line an event. `docs/run-folder.md` shows a sample of each kind.

The file is append-only with one writer. A reader stops at the last newline (a torn last line is not
an event yet) and skips kinds it does not know. `seq` counts over all attempts of the run; after a
resume, steps of an earlier attempt past `resumed_from_step` count no more (`interfaces/history.py`).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from interfaces.problems import Problem
from interfaces.records import require_schema

SCHEMA_VERSION: Literal[1] = 1
TAIL_BYTES = 1 << 16
PhaseName = Literal["download", "data", "model", "tokenize", "sample", "train", "evaluate", "save"]


class _Event(BaseModel):
    # NaN and infinity travel as strings: bare NaN is not JSON, and null would hide what happened.
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    schema_version: Literal[1] = SCHEMA_VERSION
    seq: int = 0
    attempt: int = 1
    time: float = 0.0
    """Wall clock, seconds since 1970; for display only, never for order."""


class Started(_Event):
    """The trainer is up. `device`, `dtype` and `threads` are what the probe chose."""

    kind: Literal["started"] = "started"
    run: str
    model_name: str
    device: str
    dtype: str
    threads: int
    resumed_from_step: int | None = None


class Phase(_Event):
    """What the trainer is busy with. `done` and `total` are in `unit` where progress is known."""

    kind: Literal["phase"] = "phase"
    phase: PhaseName
    done: int | None = None
    total: int | None = None
    unit: Literal["bytes", "rows", "prompts", "batches", ""] = ""


class Step(_Event):
    """One update of the adapter. `loss` is the mean per trained token in nats, `tokens` are real ones."""

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
    """Time since the step before, without evaluation and saving."""
    memory_bytes: int
    peak_memory_bytes: int = 0
    """The most so far; 0 where nothing tells it."""


class Evaluated(_Event):
    """The validation loss at a step: mean per trained token in nats over the rows kept aside."""

    kind: Literal["evaluated"] = "evaluated"
    step: int
    loss: float
    examples: int
    seconds: float


class Sampled(_Event):
    """A sample prompt and its greedy answer; at step 0 that of the base model."""

    kind: Literal["sampled"] = "sampled"
    step: int
    prompt: str
    answer: str


class CheckpointCommitted(_Event):
    """From here a resume can start. `path` is relative to the run folder, `seconds` is what the save took."""

    kind: Literal["checkpoint_committed"] = "checkpoint_committed"
    step: int
    path: str
    size_bytes: int
    seconds: float = 0.0


class Stopping(_Event):
    """A request to stop was seen. `within_seconds` is its bound: one batch, one save and the way out."""

    kind: Literal["stopping"] = "stopping"
    mode: Literal["save", "discard"]
    within_seconds: float


class Warned(_Event):
    """Something the person should know; the run continues."""

    kind: Literal["warned"] = "warned"
    problem: Problem


class Failed(_Event):
    """The last word of a run that could not continue."""

    kind: Literal["failed"] = "failed"
    step: int
    problem: Problem


class Stopped(_Event):
    """The last word of a run that was asked to stop, or stopped early by itself. `resumable` if a checkpoint is there."""

    kind: Literal["stopped"] = "stopped"
    step: int
    resumable: bool


class Finished(_Event):
    """The last word of a run that did its work."""

    kind: Literal["finished"] = "finished"
    step: int
    adapter: str
    peak_memory_bytes: int
    seconds: float


Event = (
    Started | Phase | Step | Evaluated | Sampled | CheckpointCommitted | Stopping | Warned | Failed | Stopped | Finished
)
KINDS: dict[str, type[_Event]] = {kind.model_fields["kind"].default: kind for kind in get_args(Event)}
ENDINGS = (Failed, Stopped, Finished)

_line: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def parse_event(line: bytes | str, path: Path = Path("events.jsonl")) -> Event | None:
    """One line as an event, or None for a line of a kind that this version doesn't know.

    Raises:
        FineTuneError: the line is of another version; `path` is where it was read.
    """
    try:
        return _line.validate_json(line)
    except ValidationError as error:
        for one in error.errors():
            if one["loc"][-1:] == ("schema_version",):
                require_schema(path, one["input"], SCHEMA_VERSION)
        return None


class EventReader:
    """Reads what was appended since the last call; the file may not exist yet."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset
        """Bytes read so far: always the end of a whole line."""

    def read_new(self) -> list[Event]:
        """New whole lines, parsed, oldest first."""
        return [event for line in self.read_lines() if (event := parse_event(line, self.path)) is not None]

    def read_lines(self, most: int = -1) -> list[bytes]:
        """New whole lines as they stand, oldest first; with `most`, about so many bytes of them and at least one."""
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
    """All events of a run so far."""
    return EventReader(path).read_new()


def read_tail(path: Path, size: int = TAIL_BYTES) -> list[Event]:
    """The last events, at least one where there is any: as quick for a million as for ten."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, io.SEEK_END)
            while True:
                start = max(end - size, 0)
                file.seek(start)
                text = file.read(end - start)
                lines = text[: text.rfind(b"\n") + 1].splitlines()
                # The first line is cut, where it isn't the file's first.
                events = [
                    event for line in lines[1 if start else 0 :] if (event := parse_event(line, path)) is not None
                ]
                if events or not start:
                    return events
                size *= 4
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return []
