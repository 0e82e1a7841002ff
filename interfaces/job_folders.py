"""The folders of a run's jobs: evaluations and exports. Standard library only, as `folders`.

    runs/<run>/evaluations/<number>/        named <run>.<number>
    runs/<run>/exports/<number>/            named <run>.export-<number>

A job has the files of a run: it waits in the same queue, is executed by the same supervisor, stops and resumes as a run
does, and logs the same events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from interfaces.files import fsync
from interfaces.folders import Home, RunFolder

_JOB = re.compile(r"([0-9a-z-]+)\.(export-)?(\d{1,6})")


class JobFolder(RunFolder):
    """One job of a run."""

    PLACE = ""
    PREFIX = ""
    COMMAND = ""
    """The command of the terminal that creates and continues it."""

    @property
    def number(self) -> int:
        return int(self.path.name)

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.path.parent.parent)

    @property
    def id(self) -> str:
        """The run's id and the job's number, as the queue names it."""
        return f"{self.run.id}.{self.PREFIX}{self.path.name}"

    @property
    def home(self) -> Home:
        return self.run.home

    @classmethod
    def all_of(cls, run: RunFolder) -> list[Self]:
        """List the jobs of this kind of a run, oldest first."""
        found = [cls(path) for path in (run.path / cls.PLACE).glob("*") if path.name.isdigit()]
        return sorted((one for one in found if one.config.is_file()), key=lambda one: one.number)

    @classmethod
    def create(cls, run: RunFolder) -> Self:
        """Create an empty folder for the run's next job of this kind."""
        place = run.path / cls.PLACE
        place.mkdir(exist_ok=True)
        number = max((int(path.name) for path in place.iterdir() if path.name.isdigit()), default=0) + 1
        while True:
            path = place / str(number)
            try:
                path.mkdir()
            except FileExistsError:  # another process creates one too
                number += 1
                continue
            fsync(place)
            return cls(path)


class EvaluationFolder(JobFolder):
    """One evaluation. `docs/evaluation.md` describes each file and its writer."""

    PLACE = "evaluations"
    COMMAND = "evaluate"

    @property
    def config(self) -> Path:
        """What is to be evaluated; written once, before the evaluation is queued."""
        return self.path / "evaluation.json"

    @property
    def questions(self) -> Path:
        """The rows that are evaluated, written by the trainer before the first answer."""
        return self.path / "questions.jsonl"

    @property
    def answers(self) -> Path:
        """Answers and losses, appended by the trainer."""
        return self.path / "answers.jsonl"

    @property
    def result(self) -> Path:
        """The scores of all rows and the table with its intervals, written by the studio."""
        return self.path / "result.json"

    @property
    def votes(self) -> Path:
        """The votes of a person who doesn't see which answer is whose, appended by the studio."""
        return self.path / "votes.jsonl"


class ExportFolder(JobFolder):
    """One export. `docs/export.md` describes each file and its writer."""

    PLACE = "exports"
    PREFIX = "export-"
    COMMAND = "export"

    @property
    def config(self) -> Path:
        """What is to be exported; written once, before the export is queued."""
        return self.path / "request.json"

    @property
    def record(self) -> Path:
        """What was written, and the proof; written by the trainer at the end."""
        return self.path / "export.json"

    @property
    def files(self) -> Path:
        """What was exported, unless it was to be written elsewhere."""
        return self.path / "files"


KINDS: tuple[type[JobFolder], ...] = (EvaluationFolder, ExportFolder)


def jobs_of(run: RunFolder) -> Iterator[JobFolder]:
    """Yield all jobs of a run."""
    for kind in KINDS:
        yield from kind.all_of(run)


def job_at(path: Path) -> RunFolder:
    """Return the run or the job in this folder."""
    kind = next((one for one in KINDS if path.parent.name == one.PLACE), RunFolder)
    return kind(path)


def job_named(home: Home, job_id: str) -> RunFolder:
    """Return the run or the job with this id."""
    found = _JOB.fullmatch(job_id)
    if not found:
        return home.run(job_id)
    kind = ExportFolder if found[2] else EvaluationFolder
    return kind(home.run(found[1]).path / kind.PLACE / found[3])
