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
from typing import Literal

from pydantic import BaseModel

from interfaces.errors import FineTuneError
from interfaces.files import read_json, remove, write_json
from interfaces.folders import Home, RunFolder
from interfaces.history import RunHistory
from interfaces.job_folders import ExportFolder, jobs_of
from interfaces.problems import Code
from interfaces.records import read_as
from studio.datasets.library import datasets_of_run, list_datasets
from studio.runs.jobs import runs_in_use
from studio.runs.queue import RunQueue
from studio.runs.state import RunState, run_folders, run_state
from studio.runs.trash import GONE
from studio.storage.usage import size_of

log = logging.getLogger(__name__)

Kind = Literal["checkpoints", "exports", "unused_datasets", "caches"]
UNDO_SECONDS = 600.0
LOOK_SECONDS = 20.0
PREFIX = "cleanup-"
RECORD = "record.json"
JUST_ADDED_SECONDS = 3600.0
"""A dataset that is younger than this may be waiting in a form."""
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
        OSError: it can't be moved; then everything is where it was.
    """
    with RunQueue(home).alone():  # nothing is started meanwhile
        if kind == "caches" and runs_in_use(home):
            raise FineTuneError.of(Code.CACHES_IN_USE)
        paths = list(_KINDS[kind](home))
        if not paths:
            raise FineTuneError.of(Code.NOTHING_TO_CLEAN)
        made = Cleanup(
            id=secrets.token_hex(6), kind=kind, count=len(paths), bytes=size_of(paths), until=time.time() + UNDO_SECONDS,
            places=[str(path.relative_to(home.path)) for path in paths],
        )  # fmt: skip
        folder = home.trash / f"{PREFIX}{made.id}"
        folder.mkdir(parents=True)
        write_json(folder / RECORD, made.model_dump())
        try:
            for number, path in enumerate(paths):
                path.rename(folder / str(number))
        except OSError:  # such as a folder that lies on another disk
            _put_back(home, folder, made)
            raise
    return made


def pending(home: Home) -> list[Cleanup]:
    """Return the clean-ups that can still be undone, the newest first."""
    found = [made for folder in home.trash.glob(f"{PREFIX}*") if (made := _record_of(folder)) is not None]
    return sorted(found, key=lambda one: one.until, reverse=True)


def undo(home: Home, cleanup: str) -> None:
    """Put everything back where it was.

    Raises:
        FineTuneError: the clean-up has been deleted for good.
    """
    with RunQueue(home).alone():
        _put_back(home, *_folder_of(home, cleanup))


def _put_back(home: Home, folder: Path, made: Cleanup) -> None:
    for number, place in enumerate(made.places):
        source, target = folder / str(number), _place_now(home, Path(place))
        if source.exists() and target is not None:
            target.parent.mkdir(exist_ok=True)
            source.rename(target)
    shutil.rmtree(folder)


def _place_now(home: Home, place: Path) -> Path | None:
    """Return where to put something back: with its run, if that has been moved to the trash meanwhile, and an export
    under a number that no other one has taken. None if its run is gone for good, or the same is there again.
    """
    if place.parts[0] != home.runs.name:
        target = home.path / place
        return None if target.exists() else target
    run = next((one for one in (home.runs, home.trash) if (one / place.parts[1]).is_dir()), None)
    if run is None:
        return None
    target = run.joinpath(*place.parts[1:])
    while target.exists() and target.parent.name == ExportFolder.PLACE:
        target = target.with_name(str(int(target.name) + 1))
    return None if target.exists() else target


def delete_for_good(home: Home, cleanup: str) -> int:
    """Delete what a clean-up has moved, and return the bytes that are free now.

    Raises:
        FineTuneError: it has been deleted already.
    """
    with RunQueue(home).alone():  # it isn't undone meanwhile
        folder, made = _folder_of(home, cleanup)
        gone = folder.with_name(f"{GONE}{folder.name}")
        folder.rename(gone)
    remove(gone)
    return made.bytes


def _folder_of(home: Home, cleanup: str) -> tuple[Path, Cleanup]:
    folder = home.trash / f"{PREFIX}{cleanup}"
    made = _record_of(folder) if cleanup.isalnum() and len(cleanup) < 40 else None
    if made is None:
        raise FineTuneError.of(Code.CLEANUP_OVER)
    return folder, made


def _record_of(folder: Path) -> Cleanup | None:
    """Return the record of a clean-up; None if it can't be read. Then nothing of it is deleted."""
    try:
        return read_as(folder / RECORD, Cleanup)
    except FineTuneError:  # another version wrote it
        return None


def finish_due(home: Home) -> None:
    """Delete the clean-ups for good that can no longer be undone, and what is left of deletions that were interrupted."""
    for made in pending(home):
        if made.until < time.time():
            with contextlib.suppress(FineTuneError):  # undone meanwhile
                delete_for_good(home, made.id)
    for left in home.trash.glob(f"{GONE}{PREFIX}*"):
        remove(left)


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
            waiting = (job for job in jobs_of(run) if not run_state(job).is_over)
            wanted = (step for job in waiting if isinstance(step := (read_json(job.config) or {}).get("step"), int))
            kept = {steps[-1], _best(run, steps), *map(run.checkpoint, wanted)}
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
    """Yield the datasets that no run is trained on or evaluated with, not even one in the trash or of a sweep that waits."""
    deleted = (path for path in home.trash.glob("[!.]*") if (path / "config.yaml").is_file())
    used = {dataset for path in deleted for dataset in datasets_of_run(RunFolder(path))}
    sweeps = " ".join(path.read_text(encoding="utf-8", errors="replace") for path in home.sweeps.glob("*.json"))
    for summary in list_datasets(home):
        just_added = time.time() - summary.added < JUST_ADDED_SECONDS
        if not (summary.runs or summary.id in used or summary.id in sweeps or just_added):
            yield home.dataset(summary.id).path


def _caches(home: Home) -> Iterator[Path]:
    for name in MADE_AGAIN:
        folder = home.cache / name
        yield from (path for path in sorted(folder.glob("*")) if not path.name.startswith(".adding"))


_KINDS: dict[Kind, Callable[[Home], Iterator[Path]]] = {
    "checkpoints": _checkpoints, "exports": _exports, "unused_datasets": _unused_datasets, "caches": _caches,
}  # fmt: skip
