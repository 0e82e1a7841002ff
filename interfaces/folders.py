"""The name of every file that lies on disk. Standard library only: the supervisor imports this.

    Home                the tree of one user: runs, datasets, models
    RunFolder           one run
    Attempt             one start of a run: each resume is another
    DatasetFolder       one dataset
    WarmTrainerFolder   a trainer that waits for a run

A place is a value: nothing here reads the environment, and a property never creates anything.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from interfaces.files import fsync, read_json

FULL_DISK_BYTES = 1_000_000
"""With less than this a disk is full, whatever was to be written."""


UNFINISHED = ".adding-*"
"""Folders that are being written: datasets and tokens get their own name once they are whole."""


def unfinished_name() -> str:
    """A name for such a folder, which says which process writes it."""
    return UNFINISHED.replace("*", f"{os.getpid()}-{secrets.token_hex(4)}")


def unfinished(home: Path, pid: int | None = None) -> list[Path]:
    """What lies unfinished in a home: of one process, or of all."""
    pattern = UNFINISHED if pid is None else UNFINISHED.replace("*", f"{pid}-*")
    return [path for place in (Home(home).datasets, Home(home).tokens) for path in place.glob(pattern)]


@dataclass(frozen=True)
class Home:
    """Everything of one user, in one human-readable tree."""

    path: Path

    @classmethod
    def of(cls, chosen: Path | str | None, environment: Mapping[str, str]) -> Home:
        """`chosen`, else FINETUNE_HOME of `environment`, else ~/.finetune-studio."""
        place = chosen or environment.get("FINETUNE_HOME") or Path.home() / ".finetune-studio"
        try:
            return cls(Path(place).expanduser().absolute())
        except RuntimeError:  # '~nobody': an ordinary name, then
            return cls(Path(place).absolute())

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def datasets(self) -> Path:
        return self.path / "datasets"

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def starter(self) -> Path:
        return self.models / "starter"

    def has_starter(self) -> bool:
        """Whether the starter model is there, whole: its record is written last."""
        return read_json(self.starter / "starter.json") is not None

    @property
    def trash(self) -> Path:
        return self.path / "trash"

    @property
    def studio_token(self) -> Path:
        return self.path / "studio-token"

    @property
    def settings(self) -> Path:
        return self.path / "settings.json"

    @property
    def secrets(self) -> Path:
        """Tokens; only its owner can read it."""
        return self.path / "secrets.json"

    @property
    def notify(self) -> Path:
        """Whom to tell that a run has ended: written by its owner, by hand, and by nothing else."""
        return self.path / "notify.json"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    @property
    def queue(self) -> Path:
        """A file for each run that waits for its device."""
        return self.path / "queue"

    @property
    def queue_lock(self) -> Path:
        return self.queue / ".lock"

    @property
    def queue_paused(self) -> Path:
        """While it is there, nothing is started from the queue."""
        return self.queue / "paused"

    @property
    def queue_log(self) -> Path:
        return self.queue / "queue.log"

    @property
    def locks(self) -> Path:
        """Who has a device: a file each."""
        return self.path / "locks"

    @property
    def imports(self) -> Path:
        """Where a person puts files that are too large to drop on the page."""
        return self.path / "imports"

    @property
    def tokens(self) -> Path:
        return self.cache / "tokens"

    @property
    def warm_trainer(self) -> WarmTrainerFolder:
        return WarmTrainerFolder(self.cache / "warm-trainer")

    def run(self, run_id: str) -> RunFolder:
        return RunFolder(self.runs / run_id)

    def dataset(self, dataset_id: str) -> DatasetFolder:
        return DatasetFolder(self.datasets / dataset_id)

    def create_run(self) -> RunFolder:
        """A new, empty run folder. Its id sorts by time and is made of `0-9a-z-` only."""
        self.runs.mkdir(parents=True, exist_ok=True)
        while True:
            run_id = time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(2)
            try:
                (self.runs / run_id).mkdir()
            except FileExistsError:
                continue
            fsync(self.runs)
            return self.run(run_id)


@dataclass(frozen=True)
class Attempt:
    """One start of a run. Both files are written by its supervisor alone."""

    path: Path

    @property
    def number(self) -> int:
        return int(self.path.name.removeprefix("attempt-"))

    @property
    def pid(self) -> Path:
        return self.path / "pid.json"

    @property
    def exit(self) -> Path:
        return self.path / "exit.json"


@dataclass(frozen=True)
class RunFolder:
    """One run. `docs/run-folder.md` tells what each file holds and who writes it."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def home(self) -> Home:
        """The home this run lies in: the folder above `runs/`."""
        return Home(self.path.parent.parent)

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def lineage(self) -> Path:
        return self.path / "lineage.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "trainer.log"

    @property
    def stop(self) -> Path:
        return self.path / "stop"

    @property
    def staging(self) -> Path:
        return self.path / "staging"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def first_adapter(self) -> Path:
        """A copy of the adapter that this run went on from; absent where it began with a fresh one."""
        return self.path / "first-adapter"

    @property
    def estimate(self) -> Path:
        """What the run was expected to need, written before it began."""
        return self.path / "estimate.json"

    @property
    def lengths(self) -> Path:
        """The lengths of its own rows in tokens, written by the trainer once they are made."""
        return self.path / "lengths.json"

    @property
    def reserve(self) -> Path:
        """Space that is given back when the disk is full, so that the run's last words still fit."""
        return self.path / ".reserve"

    @property
    def diagnosis(self) -> Path:
        """Why it failed for want of memory, and with which settings it may be tried again."""
        return self.path / "diagnosis.json"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def start_lock(self) -> Path:
        return self.path / ".start.lock"

    @property
    def meta(self) -> Path:
        return self.path / "meta.json"

    @property
    def ticket(self) -> Path:
        """Its place in the queue of its home."""
        return self.home.queue / f"{self.id}.json"

    @property
    def is_waiting(self) -> bool:
        """Whether it is in the queue, and hasn't been started since it was put there."""
        ticket = read_json(self.ticket)
        return ticket is not None and ticket.get("attempts") == len(self.attempts()) and self.config.is_file()

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:07d}"

    def attempt(self, number: int) -> Attempt:
        return Attempt(self.path / f"attempt-{number}")

    def attempts(self) -> list[Attempt]:
        """Every start of this run, oldest first."""
        found = [Attempt(path) for path in self.path.glob("attempt-*") if path.name[8:].isdigit()]
        return sorted(found, key=lambda attempt: attempt.number)

    def create_attempt(self) -> Attempt:
        """The next attempt's folder."""
        attempts = self.attempts()
        attempt = self.attempt(attempts[-1].number + 1 if attempts else 1)
        attempt.path.mkdir()
        fsync(self.path)
        return attempt


@dataclass(frozen=True)
class DatasetFolder:
    """One dataset: the source as it came, its rows in one shape, and the report, which is written last."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def examples(self) -> Path:
        return self.path / "examples.jsonl"

    @property
    def index(self) -> Path:
        return self.path / "examples.index"

    @property
    def problems(self) -> Path:
        return self.path / "problems.jsonl"

    @property
    def meta(self) -> Path:
        return self.path / "meta.json"

    @property
    def report(self) -> Path:
        return self.path / "report.json"

    @property
    def lengths(self) -> Path:
        """Tokens of its rows, by model; written by the studio."""
        return self.path / "lengths.json"

    def source(self, suffix: str) -> Path:
        return self.path / f"source{suffix}"

    def find_source(self) -> Path | None:
        """The file as it came; None for a mix of others, which has none."""
        return next(iter(sorted(self.path.glob("source.*"))), None)


@dataclass(frozen=True)
class WarmTrainerFolder:
    """A supervisor and its trainer that have no run yet. Whoever removes the folder ends them."""

    path: Path

    @property
    def record(self) -> Path:
        """Who waits, and from which environment; written last."""
        return self.path / "trainer.json"

    @property
    def inbox(self) -> Path:
        """A named pipe: one line with a run's folder and attempt makes the trainer that run's."""
        return self.path / "inbox"

    @property
    def ready(self) -> Path:
        """Written by the trainer once its libraries are loaded."""
        return self.path / "ready"

    @property
    def log(self) -> Path:
        return self.path / "trainer.log"

    @property
    def lock(self) -> Path:
        """Beside the folder, which comes and goes."""
        return self.path.with_name(".warm-trainer.lock")
