"""The path of every file on disk. Standard library only: the supervisor imports this module.

    Home                the tree of one user: runs, datasets, models
    RunFolder           one run
    Attempt             one start of a run; each resume is another attempt
    DatasetFolder       one dataset

Paths are plain values: nothing here reads the environment, and a property never creates anything.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from interfaces.files import fsync, read_json
from interfaces.run_control import Ticket
from interfaces.warm_trainer_folder import WarmTrainerFolder

FULL_DISK_BYTES = 1_000_000
"""A disk with fewer free bytes than this counts as full, regardless of what is to be written."""


UNFINISHED = ".adding-*"
"""Unfinished folders: datasets and tokens get their final name once they are complete."""


def unfinished_name() -> str:
    """Return a name for an unfinished folder that identifies the process that writes it."""
    return UNFINISHED.replace("*", f"{os.getpid()}-{secrets.token_hex(4)}")


def unfinished(home: Path, pid: int | None = None) -> list[Path]:
    """List the unfinished folders in a home, of one process or of all."""
    pattern = UNFINISHED if pid is None else UNFINISHED.replace("*", f"{pid}-*")
    return [path for place in (Home(home).datasets, Home(home).tokens) for path in place.glob(pattern)]


@dataclass(frozen=True)
class Home:
    """All data of one user, in one human-readable tree."""

    path: Path

    @classmethod
    def of(cls, chosen: Path | str | None, environment: Mapping[str, str]) -> Home:
        """Return `chosen`, else FINETUNE_HOME from `environment`, else ~/.finetune-studio."""
        place = chosen or environment.get("FINETUNE_HOME") or Path.home() / ".finetune-studio"
        try:
            return cls(Path(place).expanduser().absolute())
        except RuntimeError:  # '~name' without such a user: treat it as an ordinary name
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
        """Whether the starter model is complete. Its record is written last."""
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
    def recipes(self) -> Path:
        """The user's own recipes of settings."""
        return self.path / "recipes.json"

    @property
    def secrets(self) -> Path:
        """Access tokens. Only the owner can read the file."""
        return self.path / "secrets.json"

    @property
    def notify(self) -> Path:
        """Settings for notifications when a run ends. Only the user writes this file, by hand."""
        return self.path / "notify.json"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    @property
    def queue(self) -> Path:
        """One file per run that waits for its device."""
        return self.path / "queue"

    @property
    def queue_lock(self) -> Path:
        return self.queue / ".lock"

    @property
    def queue_paused(self) -> Path:
        """While this file exists, the queue starts no runs."""
        return self.queue / "paused"

    @property
    def queue_log(self) -> Path:
        return self.queue / "queue.log"

    @property
    def locks(self) -> Path:
        """One file per device that names the run that uses it."""
        return self.path / "locks"

    @property
    def imports(self) -> Path:
        """Folder for files that are too large to upload through the page."""
        return self.path / "imports"

    @property
    def questions(self) -> Path:
        """Test questions of one's own."""
        return self.path / "questions.json"

    @property
    def sweeps(self) -> Path:
        """One file for each sweep whose runs aren't all queued yet."""
        return self.path / "sweeps"

    @property
    def chats(self) -> Path:
        return self.path / "chats"

    @property
    def tokens(self) -> Path:
        return self.cache / "tokens"

    @property
    def fast_paths(self) -> Path:
        """The trials of the fast paths that models have passed."""
        return self.cache / "fast-paths"

    @property
    def warm_trainer(self) -> WarmTrainerFolder:
        return WarmTrainerFolder(self.cache / "warm-trainer")

    def run(self, run_id: str) -> RunFolder:
        return RunFolder(self.runs / run_id)

    def dataset(self, dataset_id: str) -> DatasetFolder:
        return DatasetFolder(self.datasets / dataset_id)

    @staticmethod
    def new_id() -> str:
        """Return an id for something new. Ids sort by time and contain only `0-9a-f-`."""
        return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(2)

    def create_run(self) -> RunFolder:
        """Create an empty run folder."""
        self.runs.mkdir(parents=True, exist_ok=True)
        while True:
            run_id = self.new_id()
            try:
                (self.runs / run_id).mkdir()
            except FileExistsError:
                continue
            fsync(self.runs)
            return self.run(run_id)


@dataclass(frozen=True)
class Attempt:
    """One start of a run. Only its supervisor writes the two files."""

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
    """One run. `docs/run-folder.md` describes each file and its writer."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def home(self) -> Home:
        """The home of this run: the parent of `runs/`."""
        return Home(self.path.parent.parent)

    @property
    def run(self) -> RunFolder:
        """The run that this is, or that an evaluation is of (`interfaces/job_folders.py`)."""
        return self

    @property
    def evaluations(self) -> Path:
        return self.path / "evaluations"

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
    def model(self) -> Path:
        """The whole model, which is the result of full fine-tuning."""
        return self.path / "model"

    @property
    def result(self) -> Path:
        """What the run has made so far: its model, or its adapter. It may not be there yet."""
        return self.model if self.model.is_dir() else self.adapter

    @property
    def first_adapter(self) -> Path:
        """A copy of the adapter that this run started from; missing if the run started with a new adapter."""
        return self.path / "first-adapter"

    @property
    def first_model(self) -> Path:
        """The place of a model of another run that this run started from; missing if it started from another model."""
        return self.path / "first-model"

    @property
    def estimate(self) -> Path:
        """The resource estimate, written before the run started."""
        return self.path / "estimate.json"

    @property
    def lengths(self) -> Path:
        """The token lengths of the run's rows, which the trainer writes after tokenization."""
        return self.path / "lengths.json"

    @property
    def reserve(self) -> Path:
        """Reserved space that is freed when the disk is full, so that the run's final event still fits."""
        return self.path / ".reserve"

    @property
    def diagnosis(self) -> Path:
        """Why the run ran out of memory, and with which settings it can be retried."""
        return self.path / "diagnosis.json"

    @property
    def diagnosis_lock(self) -> Path:
        return self.path / ".diagnosis.lock"

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
        """The run's ticket in the queue of its home."""
        return self.home.queue / f"{self.id}.json"

    @property
    def is_waiting(self) -> bool:
        """Whether the run is in the queue and has not started since it was queued."""
        ticket = Ticket.of(self.ticket)
        return ticket is not None and ticket.attempts == len(self.attempts()) and self.config.is_file()

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:07d}"

    def attempt(self, number: int) -> Attempt:
        return Attempt(self.path / f"attempt-{number}")

    def attempts(self) -> list[Attempt]:
        """List all attempts of this run, oldest first."""
        found = [Attempt(path) for path in self.path.glob("attempt-*") if path.name[8:].isdigit()]
        return sorted(found, key=lambda attempt: attempt.number)

    def create_attempt(self) -> Attempt:
        """Create the folder of the next attempt."""
        attempts = self.attempts()
        attempt = self.attempt(attempts[-1].number + 1 if attempts else 1)
        attempt.path.mkdir()
        self.summary.unlink(missing_ok=True)  # that of the attempt before
        fsync(self.path)
        return attempt


@dataclass(frozen=True)
class DatasetFolder:
    """One dataset: the unchanged source, its normalized rows, and the report, which is written last."""

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
    def difference(self) -> Path:
        """What was changed from the dataset that this one comes from (`RowChange`), row by row."""
        return self.path / "difference.jsonl"

    @property
    def lengths(self) -> Path:
        """The token lengths of the rows, by model; written by the studio."""
        return self.path / "lengths.json"

    def source(self, suffix: str) -> Path:
        return self.path / f"source{suffix}"

    def find_source(self) -> Path | None:
        """Return the unchanged source file, or None for a mix, which has none."""
        return next(iter(sorted(self.path.glob("source.*"))), None)
