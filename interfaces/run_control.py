"""The records through which processes control a run: who executes it, who waits, who asked it to stop, how it ended.

Standard library only: the supervisor imports this module. Reading never raises; a missing or damaged record reads as
one without values.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from interfaces.files import read_json, write_json
from interfaces.process import ProcessIdentity

FINAL_KINDS = ("failed", "stopped", "finished")
"""The `kind` of the events that end an attempt."""
StopMode = Literal["save", "discard"]
ExitCause = Literal["ended", "failed", "killed", "out_of_memory", "disk_full"]

_TAIL_BYTES = 1 << 16


@dataclass(frozen=True)
class StopRequest:
    """`stop`: ask an attempt to stop. A file made by hand, which may be empty, names no attempt and applies to any."""

    mode: StopMode
    attempt: int | None

    @classmethod
    def of(cls, path: Path) -> StopRequest | None:
        if not path.exists():
            return None
        record = read_json(path) or {}
        attempt = record.get("attempt")
        return cls(
            "discard" if record.get("mode") == "discard" else "save", attempt if isinstance(attempt, int) else None
        )

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


@dataclass(frozen=True)
class ExitRecord:
    """`exit.json`: how the trainer of an attempt ended. `ended` is in seconds since 1970."""

    attempt: int
    returncode: int | None
    """None if a signal ended it."""
    signal: str | None
    cause: ExitCause
    ended: float

    @classmethod
    def of(cls, path: Path) -> ExitRecord | None:
        record = read_json(path)
        if record is None:
            return None
        code, name, cause = record.get("returncode"), record.get("signal"), record.get("cause")
        return cls(
            int(_number(record.get("attempt"))), code if isinstance(code, int) else None, str(name) if name else None,
            cause if cause in ("ended", "failed", "killed", "out_of_memory", "disk_full") else "failed", _number(record.get("ended")),
        )  # fmt: skip

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


@dataclass(frozen=True)
class ProcessRecord:
    """`pid.json`: a supervisor and its trainer. `fingerprint` is the environment of a warm trainer."""

    supervisor: ProcessIdentity | None
    trainer: ProcessIdentity | None
    fingerprint: str = ""

    @classmethod
    def of(cls, path: Path) -> ProcessRecord:
        record = read_json(path) or {}
        supervisor, trainer = (ProcessIdentity.from_record(record.get(who)) for who in ("supervisor", "trainer"))
        return cls(supervisor, trainer, str(record.get("fingerprint", "")))

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


@dataclass(frozen=True)
class Assignment:
    """The line that assigns an attempt to a warm trainer."""

    folder: Path
    attempt: int

    @classmethod
    def of(cls, line: str | bytes) -> Assignment:
        """
        Raises:
            ValueError, KeyError: the line is no assignment.
        """
        record = json.loads(line)
        return cls(Path(record["folder"]), int(record["attempt"]))

    def to_line(self) -> str:
        return json.dumps({"folder": str(self.folder), "attempt": self.attempt}) + "\n"


@dataclass(frozen=True)
class Ticket:
    """A run's ticket in `queue/`. Lower orders start first; `attempts` counts those before it was queued."""

    device: str
    order: float
    attempts: int | None
    failures: int = 0
    """How often its start failed."""

    @classmethod
    def of(cls, path: Path) -> Ticket | None:
        record = read_json(path)
        if record is None:
            return None
        attempts = record.get("attempts")
        return cls(
            str(record.get("device")), _number(record.get("order")), attempts if isinstance(attempts, int) else None,
            int(_number(record.get("failures"))),
        )  # fmt: skip

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


@dataclass(frozen=True)
class DeviceLock:
    """`locks/<device>.json`: the attempt that uses a device, or is being started on it."""

    run: str
    attempt: int

    @classmethod
    def of(cls, path: Path) -> DeviceLock | None:
        record = read_json(path)
        return cls(str(record.get("run")), int(_number(record.get("attempt")))) if record is not None else None

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


def last_event(events: Path) -> dict[str, object]:
    """Return the last event of a log as written, without a model of it. Empty if there is none or it is incomplete."""
    with contextlib.suppress(OSError, ValueError, IndexError), events.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
        last = json.loads(file.read().splitlines()[-1])
        return last if isinstance(last, dict) else {}
    return {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
