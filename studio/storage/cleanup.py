"""Clean-ups: what can be deleted without losing a result, moved to the trash and deleted for good a little later.

A clean-up is a folder in `trash/` with a record of where everything was. It can be undone until it is deleted for good,
after `UNDO_SECONDS` or at a click; the disk is free from then on.
"""

from __future__ import annotations

import contextlib
import logging
import math
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel

from interfaces.errors import FineTuneError
from interfaces.files import remove, write_json
from interfaces.folders import Home, RunFolder
from interfaces.history import RunHistory
from interfaces.job_folders import ExportFolder
from interfaces.problems import Code
from interfaces.records import read_as
from studio.datasets.library import list_datasets
from studio.runs.queue import RunQueue
from studio.runs.state import RunState, any_run_is_active, run_folders, run_state
from studio.storage.usage import size_of

log = logging.getLogger(__name__)

Kind = Literal["checkpoints", "exports", "unused_datasets", "caches"]
UNDO_SECONDS = 600.0
LOOK_SECONDS = 20.0
PREFIX = "cleanup-"
MADE_AGAIN = ("tokens", "gradio")
"""What `cache/` holds that is made again when it is needed."""


class Proposal(BaseModel):
    """What a clean-up would delete: how many checkpoints, exports, datasets or folders, and the bytes that frees."""

    kind: Kind
    count: int
    bytes: int


class Cleanup(BaseModel):
    """`trash/cleanup-ID/record.json`: what was moved from where, by its number in the folder. Times in seconds since 1970."""

    id: str
    kind: Kind
    count: int
    bytes: int
    until: float
    places: list[str]

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        return read_as(folder / "record.json", cls)


def proposals(home: Home) -> list[Proposal]:
    """Return what can be cleaned up, without what is empty."""
    found = []
    for kind, paths_of in _KINDS.items():
        paths = list(paths_of(home))
        if paths:
            found.append(Proposal(kind=kind, count=len(paths), bytes=size_of(paths)))
    return found


def clean_up(home: Home, kind: Kind) -> Cleanup:
    """Move what a clean-up deletes to the trash.

    Raises:
        FineTuneError: a run is active, and the caches are in use; or there is nothing to delete.
    """
    if kind == "caches" and any_run_is_active(home):
        raise FineTuneError.of(Code.CACHES_IN_USE)
    with RunQueue(home).alone():  # nothing is started meanwhile
        paths = list(_KINDS[kind](home))
        if not paths:
            raise FineTuneError.of(Code.NOTHING_TO_CLEAN)
        made = Cleanup(
            id=secrets.token_hex(6), kind=kind, count=len(paths), bytes=size_of(paths), until=time.time() + UNDO_SECONDS,
            places=[str(path.relative_to(home.path)) for path in paths],
        )  # fmt: skip
        folder = home.trash / f"{PREFIX}{made.id}"
        folder.mkdir(parents=True)
        write_json(folder / "record.json", made.model_dump())
        for number, path in enumerate(paths):
            path.rename(folder / str(number))
    return made


def pending(home: Home) -> list[Cleanup]:
    """Return the clean-ups that can still be undone, the newest first."""
    found = [made for folder in home.trash.glob(f"{PREFIX}*") if (made := Cleanup.of(folder)) is not None]
    return sorted(found, key=lambda one: one.until, reverse=True)


def undo(home: Home, cleanup: str) -> None:
    """Put everything back where it was. What is there again meanwhile stays.

    Raises:
        FineTuneError: the clean-up has been deleted for good.
    """
    with RunQueue(home).alone():
        folder, made = _folder_of(home, cleanup)
        for number, place in enumerate(made.places):
            source, target = folder / str(number), home.path / place
            if source.exists() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                source.rename(target)
        shutil.rmtree(folder)


def delete_for_good(home: Home, cleanup: str) -> int:
    """Delete what a clean-up has moved, and return the bytes that are free now.

    Raises:
        FineTuneError: it has been deleted already.
    """
    with RunQueue(home).alone():  # it isn't undone meanwhile
        folder, made = _folder_of(home, cleanup)
        (folder / "record.json").unlink()
    remove(folder)
    return made.bytes


def _folder_of(home: Home, cleanup: str) -> tuple[Path, Cleanup]:
    folder = home.trash / f"{PREFIX}{cleanup}"
    made = Cleanup.of(folder) if cleanup.isalnum() and len(cleanup) < 40 else None
    if made is None:
        raise FineTuneError.of(Code.CLEANUP_OVER)
    return folder, made


def finish_due(home: Home) -> None:
    """Delete the clean-ups for good that can no longer be undone, and what is left of those that were interrupted."""
    for folder in home.trash.glob(f"{PREFIX}*"):
        with contextlib.suppress(FineTuneError):  # undone meanwhile
            made = Cleanup.of(folder)
            if made is None:
                remove(folder)
            elif made.until < time.time():
                delete_for_good(home, made.id)


def finish_due_always(home: Home) -> None:
    """Call `finish_due` from a thread of a long-running process."""
    while True:
        try:
            finish_due(home)
        except Exception:
            log.exception("Could not delete a clean-up")
        time.sleep(LOOK_SECONDS)


def _checkpoints(home: Home) -> Iterator[Path]:
    """Yield the checkpoints of finished runs except the best and the last one of each. No run resumes from them."""
    for run in run_folders(home):
        steps = sorted(run.checkpoints.glob("step-*"))
        if len(steps) > 1 and run_state(run) is RunState.FINISHED:
            kept = {steps[-1], _best(run, steps)}
            yield from (path for path in steps if path not in kept)


def _best(run: RunFolder, steps: list[Path]) -> Path:
    """Return the checkpoint with the lowest validation loss; the last without any."""
    validation = RunHistory(run).refresh().validation
    losses = dict(zip(validation.steps, validation.losses, strict=True))

    def loss(path: Path) -> float:
        found = losses.get(int(path.name.removeprefix("step-")), math.inf)
        return found if math.isfinite(found) else math.inf

    return min(reversed(steps), key=loss)


def _exports(home: Home) -> Iterator[Path]:
    """Yield the finished exports of all runs."""
    for run in run_folders(home):
        yield from (export.path for export in ExportFolder.all_of(run) if run_state(export) is RunState.FINISHED)


def _unused_datasets(home: Home) -> Iterator[Path]:
    """Yield the datasets that no run was trained on or evaluated with."""
    for summary in list_datasets(home):
        if not summary.runs:
            yield home.dataset(summary.id).path


def _caches(home: Home) -> Iterator[Path]:
    for name in MADE_AGAIN:
        folder = home.cache / name
        yield from (path for path in sorted(folder.glob("*")) if not path.name.startswith(".adding"))


_KINDS: dict[Kind, Callable[[Home], Iterator[Path]]] = {
    "checkpoints": _checkpoints, "exports": _exports, "unused_datasets": _unused_datasets, "caches": _caches,
}  # fmt: skip
