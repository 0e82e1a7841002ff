"""The folder of an evaluation: a job of a run, with the files of a run. Standard library only, as `folders`.

    runs/<run>/evaluations/<number>/

It waits in the same queue, is executed by the same supervisor, stops and resumes as a run does, and logs the same events.
"""

from __future__ import annotations

import re
from pathlib import Path

from interfaces.files import fsync
from interfaces.folders import Home, RunFolder

_JOB = re.compile(r"([0-9a-z-]+)\.(\d{1,6})")


class EvaluationFolder(RunFolder):
    """One evaluation. `docs/evaluation.md` describes each file and its writer."""

    @property
    def number(self) -> int:
        return int(self.path.name)

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.path.parent.parent)

    @property
    def id(self) -> str:
        """The run's id and the evaluation's number, as the queue names it."""
        return f"{self.run.id}.{self.path.name}"

    @property
    def home(self) -> Home:
        return self.run.home

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


def evaluations_of(run: RunFolder) -> list[EvaluationFolder]:
    """List the evaluations of a run, oldest first."""
    found = [EvaluationFolder(path) for path in run.evaluations.glob("*") if path.name.isdigit()]
    return sorted((one for one in found if one.config.is_file()), key=lambda one: one.number)


def create_evaluation_folder(run: RunFolder) -> EvaluationFolder:
    """Create an empty folder for the run's next evaluation."""
    run.evaluations.mkdir(exist_ok=True)
    numbers = [int(path.name) for path in run.evaluations.iterdir() if path.name.isdigit()]
    number = max(numbers, default=0) + 1
    while True:
        path = run.evaluations / str(number)
        try:
            path.mkdir()
        except FileExistsError:  # another process creates one too
            number += 1
            continue
        fsync(run.evaluations)
        return EvaluationFolder(path)


def job_at(path: Path) -> RunFolder:
    """Return the run or the evaluation in this folder."""
    return EvaluationFolder(path) if path.parent.name == "evaluations" else RunFolder(path)


def job_named(home: Home, job_id: str) -> RunFolder:
    """Return the run or the evaluation with this id."""
    found = _JOB.fullmatch(job_id)
    return EvaluationFolder(home.run(found[1]).evaluations / found[2]) if found else home.run(job_id)
