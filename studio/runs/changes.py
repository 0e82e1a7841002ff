"""Which runs have changed since a page last asked, so that a poll of a long list stays small.

A cursor is the newest modification time that was seen, and a digest of the runs and of the queue. Nothing is kept here:
a record that is written changes the time of its folder. A run that isn't over is always included, because its processes
can die without leaving a trace.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel

from interfaces.folders import Home
from interfaces.history import RunHistory
from studio.runs.state import RunSummary, run_folders, summaries_of

CURSOR = r"(\d{1,20}-[0-9a-f]{12})?"
"""The pattern of a cursor; empty before the first answer."""


class RunChanges(BaseModel):
    """The runs that changed, newest first; all runs if `whole`, because runs were added, deleted or queued."""

    cursor: str
    whole: bool
    runs: list[RunSummary]


def changes_since(home: Home, cursor: str, histories: dict[str, RunHistory] | None = None) -> RunChanges:
    """Return what has changed since the answer with this cursor (see `CURSOR`)."""
    seen, _, known = cursor.partition("-")
    since = int(seen or -1)
    folders = run_folders(home)
    touched = {folder.id: max(_modified(folder.path), _modified(folder.events)) for folder in folders}
    queued = _modified(home.queue)
    ids = hashlib.sha256(" ".join([*touched, str(queued)]).encode()).hexdigest()[:12]
    whole = ids != known
    changed = [
        folder for folder in folders if whole or touched[folder.id] >= since or not folder.summary.exists()
    ]  # fmt: skip
    newest = max([*touched.values(), since, 0])
    return RunChanges(cursor=f"{newest}-{ids}", whole=whole, runs=summaries_of(changed, histories))


def _modified(path: Path) -> int:
    """Return when a file or the list of files in a folder last changed, in nanoseconds since 1970; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
