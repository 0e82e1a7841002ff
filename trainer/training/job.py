"""One attempt of a job of a run, such as an evaluation: its events, its stop, and its problem if it fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from interfaces.config import FineTuneConfig
from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.events import Failed, Finished
from interfaces.folders import FULL_DISK_BYTES
from interfaces.job_folders import JobFolder
from interfaces.problems import Code, Problem
from interfaces.run_config import read_run_config
from interfaces.run_records import Lineage, result_folder
from trainer.models.model_files import ModelFiles, find_model, fingerprint_of
from trainer.training.event_log import EventLog
from trainer.training.failures import problem_of
from trainer.training.stop import StopSignal, StopWatcher

log = logging.getLogger(__name__)


class ResultJob:
    """A job with a run's result and its base model: the run's settings with the base's commit, and where both are."""

    def __init__(self, folder: JobFolder, step: int | None, config: FineTuneConfig, events: EventLog) -> None:
        """
        Raises:
            FineTuneError: the run has no result, or none of this step.
        """
        self._job, self._events = folder, events
        self._result = result_folder(folder.run, step)
        lineage = Lineage.of(folder.run)
        self._base = lineage.base if lineage else None
        self._machine = lineage.machine if lineage else None
        revision = (self._base.revision if self._base else None) or config.model_revision
        self._config = config.model_copy(update={"model_revision": revision})

    def _find_base(self) -> ModelFiles:
        """Return the base model's files, after downloading them if necessary.

        Raises:
            FineTuneError: they can't be found, or aren't those that the run was trained on.
        """
        self._events.phase("download")
        files = find_model(
            self._config.model_name, self._config.model_revision, self._job.home,
            lambda done, total: self._events.phase("download", done, total, "bytes"),
        )  # fmt: skip
        if self._base and self._base.fingerprint not in (None, fingerprint_of(files)):
            raise FineTuneError.of(Code.BASE_CHANGED, model=self._config.model_name, run=self._job.run.id)
        return files


def execute(
    folder: JobFolder, attempt: int, work: Callable[[FineTuneConfig, EventLog], int], listens: bool = True
) -> Problem | None:  # fmt: skip
    """Execute or continue a job. Return its problem if it failed.

    `work` gets the run's config and returns the peak memory in bytes. `listens` is for the job's own process, which a
    stop ends at once: what has been done is on the disk.
    """
    stop, begun = StopSignal(folder, attempt), time.monotonic()
    with EventLog(folder.events, attempt) as events:
        watch = StopWatcher(stop, folder, events)
        if listens:
            stop.listen()
            watch.start()
        config: FineTuneConfig | None = None
        try:
            require_space(folder.path, FULL_DISK_BYTES)
            events.hold_space(folder.reserve)
            config = FineTuneConfig.model_validate(read_run_config(folder.run))
            peak = work(config, events)
            events.append(Finished(step=0, peak_memory_bytes=peak, seconds=round(time.monotonic() - begun, 2)))
        except Exception as error:
            log.exception("%s failed", folder.id)
            problem = problem_of(error, folder, config)
            events.append(Failed(step=0, problem=problem))
            return problem
        finally:
            watch.close()
    stop.forget_handmade()
    return None
