"""Deleting a run moves it to `trash/`, so that it can be undone. Only emptying the trash frees the disk."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from pydantic import BaseModel

from interfaces.errors import FineTuneError
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import jobs_of
from interfaces.problems import Code
from interfaces.run_records import RunMeta
from studio.processes.launcher import launcher_of
from studio.runs.queue import RunQueue
from studio.runs.state import run_state
from studio.runs.supervised_trainer import wait_until_gone

GONE = ".gone-"
"""What folders are called that are being deleted for good."""


class DeletedRun(BaseModel):
    """A run in the trash; `deleted` in seconds since 1970."""

    id: str
    name: str
    deleted: float
    size_bytes: int


def trash_of(home: Home) -> list[DeletedRun]:
    """Return the runs in the trash, the last deleted first."""
    found = []
    for path in home.trash.glob("[!.]*"):
        with contextlib.suppress(FileNotFoundError):  # restored meanwhile
            if not (path / "config.yaml").is_file():
                continue
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            # Moving a folder changes only its ctime.
            found.append(DeletedRun(id=path.name, name=_name(path), deleted=path.stat().st_ctime, size_bytes=size))
    return sorted(found, key=lambda run: run.deleted, reverse=True)


def empty_trash(home: Home) -> int:
    """Delete the runs in the trash for good, and return how many bytes they had. Deleted datasets stay."""
    with RunQueue(home).alone():  # nothing of what is deleted is restored meanwhile
        runs = trash_of(home)
        for run in runs:
            (home.trash / run.id).rename(home.trash / f"{GONE}{run.id}")
    for path in home.trash.glob(f"{GONE}*"):  # also what an earlier attempt has left
        shutil.rmtree(path, ignore_errors=True)
    return sum(run.size_bytes for run in runs)


def _name(path: Path) -> str:
    try:
        return RunMeta.of(RunFolder(path)).name
    except FineTuneError:  # another version wrote it
        return ""


def delete_run(folder: RunFolder) -> None:
    """Move a run to the trash.

    Raises:
        FineTuneError: the run or one of its evaluations is still running.
    """
    for job in [folder, *jobs_of(folder)]:
        wait_until_gone(job)
    with RunQueue(folder.home).alone():  # no process can start it during the move
        jobs = [folder, *jobs_of(folder)]
        for job in jobs:
            if launcher_of(folder.home).find(job) is not None:
                raise FineTuneError.of(Code.RUN_ACTIVE, run=job.id, state=run_state(job).value)
        for job in jobs:
            job.ticket.unlink(missing_ok=True)
        folder.home.trash.mkdir(exist_ok=True)
        folder.path.rename(folder.home.trash / folder.id)


def restore_run(home: Home, run_id: str) -> RunFolder:
    """Restore a run from the trash.

    Raises:
        FineTuneError: it isn't in the trash.
    """
    deleted, folder = home.trash / run_id, home.run(run_id)
    if not run_id or "/" in run_id or not os.path.isfile(deleted / "config.yaml"):  # noqa: PTH113  a name may be too long
        raise FineTuneError.of(Code.RUN_NOT_FOUND, run=run_id, path=str(home.trash))
    with RunQueue(home).alone():
        deleted.rename(folder.path)
    return folder
