"""Background jobs such as reading files: each one runs in a child process, watched by a thread and polled by pages.
Results stay on disk as datasets; the jobs themselves end with the studio."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import BaseModel

from interfaces.errors import FineTuneError
from interfaces.problems import Code, Problem
from interfaces.trainer_jobs import FormatPreview, JobProgress, OnProgress

KEPT_SECONDS = 3600.0


@dataclass
class DatasetJob:
    """The state of one job."""

    id: str
    progress: tuple[int, int] = (0, 0)
    rows: int = 0
    preview: FormatPreview | None = None
    result: BaseModel | None = None
    problems: tuple[Problem, ...] = ()
    ended: float | None = None
    canceled: bool = False
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def cancel(self) -> None:
        """End the job with its child at the next sign of life."""
        self.canceled = True

    def update(self, update: JobProgress) -> None:
        """Update the state from one line of the child's output.

        Raises:
            FineTuneError: the job was canceled.
        """
        if self.canceled:
            raise FineTuneError.of(Code.JOB_CANCELED)
        with self._guard:
            self.progress = update.progress or self.progress
            self.rows = self.rows if update.rows is None else update.rows
            self.preview = update.preview or self.preview


class DatasetJobs:
    """The jobs of one studio. A limited number run at the same time; the others wait."""

    AT_ONCE = 3
    MOST = 50

    def __init__(self) -> None:
        self._jobs: dict[str, DatasetJob] = {}
        self._turns = threading.Semaphore(self.AT_ONCE)

    def start(self, work: Callable[[OnProgress], BaseModel], at_once: bool = False) -> DatasetJob:
        """Run `work` on a thread and store its result or error. `at_once` skips the wait, for work already started.

        Raises:
            FineTuneError: too many jobs are unfinished.
        """
        if (count := sum(job.ended is None for job in self._jobs.copy().values())) >= self.MOST:
            raise FineTuneError.of(Code.STUDIO_BUSY, count=count)
        now = time.monotonic()
        for job in [job for job in self._jobs.values() if job.ended is not None and now - job.ended > KEPT_SECONDS]:
            self._jobs.pop(job.id, None)
        job = DatasetJob(secrets.token_hex(8))
        self._jobs[job.id] = job

        def run() -> None:
            try:
                with contextlib.nullcontext() if at_once else self._turns:
                    job.result = work(job.update)
            except FineTuneError as error:
                job.problems = error.problems
            except OSError as error:
                reason = f"{error.strerror or error}"
                job.problems = (Problem.error(Code.FILE_UNREADABLE, path=str(error.filename or ""), reason=reason),)
            finally:
                job.ended = time.monotonic()

        threading.Thread(target=run, name=f"dataset-{job.id}", daemon=True).start()
        return job

    def get(self, job_id: str) -> DatasetJob:
        """A job by its id.

        Raises:
            FineTuneError: the job doesn't exist (any longer).
        """
        if job_id not in self._jobs:
            raise FineTuneError.of(Code.JOB_NOT_FOUND, value=job_id)
        return self._jobs[job_id]
