"""How much of the disk everything takes, and the files that a copy of all one's own data has."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel

from interfaces.folders import Home
from interfaces.job_folders import ExportFolder
from studio.models.local import hub_cache
from studio.runs.state import run_folders

BLOCK_BYTES = 512
"""The unit of `st_blocks`, whatever the disk's own is (POSIX, <sys/stat.h>)."""
NOT_ONES_OWN = ("cache", "locks", "models", "queue", "trash", "secrets.json", "studio-token", "notify.json")
"""What a copy of all data leaves out: what is made again or downloaded, and what holds secrets."""


class Place(BaseModel):
    """What a kind of data takes on the disk, in bytes, and where it is."""

    name: str
    path: str
    bytes: int


def usage_of(home: Home) -> list[Place]:
    """Return what each kind of data takes. `runs` is without checkpoints and exports."""
    runs = run_folders(home)
    checkpoints = size_of(run.checkpoints for run in runs)
    exports = size_of(run.path / ExportFolder.PLACE for run in runs)
    sizes = {
        "runs": (home.runs, size_of([home.runs]) - checkpoints - exports),
        "checkpoints": (home.runs, checkpoints),
        "exports": (home.runs, exports),
        "datasets": (home.datasets, size_of([home.datasets])),
        "models": (home.models, size_of([home.models])),
        "hub_cache": (hub_cache(), size_of([hub_cache()])),
        "caches": (home.cache, size_of([home.cache])),
        "trash": (home.trash, size_of([home.trash])),
    }
    return [Place(name=name, path=str(path), bytes=size) for name, (path, size) in sizes.items()]


def size_of(paths: Iterable[Path]) -> int:
    """Return how many bytes of the disk these files and folders take. Links aren't followed; a file counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for path in paths:
        for status in _statuses(path):
            key = (status.st_dev, status.st_ino)
            if status.st_nlink > 1 and key in seen:
                continue
            seen.add(key)
            total += status.st_blocks * BLOCK_BYTES
    return total


def _statuses(path: Path) -> Iterator[os.stat_result]:
    """Yield the status of a file or a folder and of all that is in it. What vanishes meanwhile is left out."""
    try:
        yield path.lstat()
        entries = list(os.scandir(path)) if path.is_dir() and not path.is_symlink() else []
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _statuses(Path(entry.path))
        else:
            try:
                yield entry.stat(follow_symlinks=False)
            except OSError:
                continue


def own_files(home: Home) -> Iterator[Path]:
    """Yield the files of a copy of all one's data: runs with their results, datasets, chats, settings."""
    for place in sorted(home.path.iterdir()):
        if place.name in NOT_ONES_OWN or place.name.startswith("."):
            continue
        if place.is_symlink() and place.name not in ("runs", "datasets", "chats"):  # those may lie on another disk
            continue
        if place.is_file():
            yield place
        for folder, folders, files in os.walk(place):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from (
                path
                for name in sorted(files)
                if not name.startswith(".") and (path := Path(folder) / name).is_file() and not path.is_symlink()
            )
