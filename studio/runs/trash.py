"""Deleting a run moves it to `trash/`, so that it can be undone."""

from __future__ import annotations

import os

from interfaces.errors import FineTuneError
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from studio.processes.launcher import launcher_of
from studio.runs.queue import RunQueue
from studio.runs.state import summary_of


def delete_run(folder: RunFolder) -> None:
    """Move a run to the trash.

    Raises:
        FineTuneError: the run is still running.
    """
    with RunQueue(folder.home).alone():  # no process can start it during the move
        if launcher_of(folder.home).find(folder) is not None:
            raise FineTuneError.of(Code.RUN_ACTIVE, run=folder.id, state=summary_of(folder).state.value)
        folder.ticket.unlink(missing_ok=True)
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
