"""One attempt of a job of a run, such as an evaluation: its events, its stop, and its problem if it fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from interfaces.config import FineTuneConfig
from interfaces.disk import require_space
from interfaces.events import Failed, Finished
from interfaces.folders import FULL_DISK_BYTES
from interfaces.job_folders import JobFolder
from interfaces.problems import Problem
from interfaces.run_config import read_run_config
from trainer.training.event_log import EventLog
from trainer.training.failures import problem_of
from trainer.training.stop import StopSignal, StopWatcher

log = logging.getLogger(__name__)


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
