"""What happens when a run or an evaluation has ended: its supervisor executes this module.

python -P -m studio.ending HOME JOB
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from interfaces.folders import Home, RunFolder
from interfaces.job_folders import EvaluationFolder, job_named
from studio.evaluation.evaluations import finish, start_gate
from studio.models.hub_access import fill_environment
from studio.runs.diagnosis import fix_of
from studio.runs.notify import tell
from studio.runs.queue import TEND_SECONDS, RunQueue
from studio.runs.reproduction import compare_with_original
from studio.runs.state import run_folders

log = logging.getLogger(__name__)


def catch_up(home: Home) -> None:
    """Do what is left of ends that nobody handled, because a supervisor was killed or the machine was shut down."""
    for run in run_folders(home):
        _attempt(partial(start_gate, run), run)
        _attempt(partial(compare_with_original, run), run)
        for evaluation in EvaluationFolder.all_of(run):
            _attempt(partial(finish, evaluation), evaluation)


def main(arguments: list[str]) -> int:
    """Start what waits next. Before, find out why a run failed, or score an evaluation; after, send notifications."""
    home = Home(Path(arguments[0]))
    fill_environment(home)
    queue, job = RunQueue(home), job_named(home, arguments[1])
    steps: list[Callable[[], object]]
    if isinstance(job, EvaluationFolder):
        evaluation = job
        steps = [queue.advance, lambda: finish(evaluation)]
    else:
        # The diagnosis comes first, because the next run takes memory.
        steps = [lambda: fix_of(job), lambda: start_gate(job), queue.advance, lambda: compare_with_original(job), lambda: tell(job)]  # fmt: skip
    for step in steps:
        _attempt(step, job)
    while queue.is_stuck():  # a start failed, and no other process may be there to retry it
        time.sleep(TEND_SECONDS)
        queue.advance()
    return 0


def _attempt(step: Callable[[], object], job: RunFolder) -> None:
    try:
        step()
    except Exception:
        log.exception("Could not handle the end of %s", job.id)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
