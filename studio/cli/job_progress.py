"""Shows the progress of a run's job in the terminal until it has ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

from interfaces.job_folders import ExportFolder, JobFolder

LOOK_SECONDS = 0.3


def run_job(
    job: JobFolder,
    submit: Callable[[], None],
    delete: Callable[[], None] | None,
    console: Console,
    *,
    detach: bool,
    as_json: bool,
) -> bool:
    """Queue a job and follow it to its end. Return False if it only waits, because of `detach`.

    `delete` removes a new job that can't be queued.
    """
    try:
        submit()
    except BaseException:
        if delete is not None and not (job.attempts() or job.is_waiting):
            delete()
        raise
    if detach:
        kind = "export" if isinstance(job, ExportFolder) else "evaluation"
        shown = f"Queued. 'finetune {job.COMMAND} {job.run.id} --resume {job.number}' shows it."
        print(json.dumps({kind: job.id}) if as_json else shown)
        return False
    follow_job(job, console)
    return True


def follow_job(job: JobFolder, console: Console) -> None:
    """Show the progress until the job is over. Ctrl+C stops it; what has been done stays."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    from interfaces.errors import FineTuneError
    from interfaces.texts import texts
    from studio.runs.jobs import job_state, stop_job
    from studio.runs.queue import RunQueue
    from studio.runs.supervised_trainer import wait_until_gone

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    queue, shown = RunQueue(job.home), ""
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Queued", total=None)
        while True:
            try:
                now = job_state(job)
                words = texts("phase").get(now.phase) or ("Queued" if job.is_waiting else "Starting")
                done, total = now.progress or (0, None)
                bar.update(task, description=words, completed=done, total=total)
                if words != shown and not console.is_terminal and not now.over:
                    shown = words
                    console.print(words)
                if now.over:
                    break
                if job.is_waiting:
                    queue.tend()
                time.sleep(LOOK_SECONDS)
            except KeyboardInterrupt:
                console.print("Stopping...")
                try:
                    stop_job(job)
                except FineTuneError:  # it has ended meanwhile
                    break
    wait_until_gone(job)
