"""Checkpoints that are whole or not there: staging, fsync, MANIFEST.json, rename, fsync of the parent.

The stock Trainer writes straight into the folder it later resumes from; one kill in ten left a torn one
that it then refused to resume from. Here what is not committed does not exist, and resume takes the newest
checkpoint whose every file still has its sha256.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from interfaces.errors import FineTuneError
from interfaces.files import fsync, publish, sha256_of, write_json
from interfaces.folders import RunFolder
from interfaces.problems import Code, Problem
from interfaces.records import read_record

MANIFEST = "MANIFEST.json"
SECRET = "training_args.bin"  # noqa: S105  a pickle that may hold the Hub token; resume does without it
NEEDED = frozenset(
    {"adapter_config.json", "adapter_model.safetensors", "optimizer.pt", "rng_state.pth", "scheduler.pt", "trainer_state.json"}
)  # fmt: skip
"""Without one of them the Trainer resumes in silence to other weights, or not at all."""


class _File(BaseModel):
    size: int
    sha256: str


class Conditions(BaseModel):
    """All that decides the numbers: a resume under other conditions is not exact."""

    config_sha256: str
    dataset_sha256: str
    validation_sha256: str
    world_size: int
    device: str
    dtype: str
    threads: int
    batches: str
    logits: str
    attention: str
    versions: dict[str, str]


class Manifest(BaseModel):
    """What a checkpoint holds, and under which conditions a resume from it is exact."""

    step: int
    files: dict[str, _File]
    conditions: dict[str, object]
    """The `Conditions` of the version that wrote it, which may have had others."""
    unlogged: dict[str, float]
    """What the next point of the curve already holds of steps before this one."""


def commit_checkpoint(
    folder: RunFolder, step: int, conditions: Conditions, unlogged: dict[str, float]
) -> tuple[Path, int]:
    """Move the Trainer's `staging/checkpoint-<step>` to its place; returns the place and its size in bytes."""
    staged, target = folder.staging / f"checkpoint-{step}", folder.checkpoint(step)
    (staged / SECRET).unlink(missing_ok=True)
    files = {}
    for path in sorted(path for path in staged.rglob("*") if path.is_file()):
        files[str(path.relative_to(staged))] = _File(size=path.stat().st_size, sha256=sha256_of(path))
    manifest = Manifest(step=step, conditions=conditions.model_dump(), unlogged=unlogged, files=files)
    write_json(staged / MANIFEST, manifest.model_dump())
    if not folder.checkpoints.exists():
        folder.checkpoints.mkdir()
        fsync(folder.path)
    if target.exists():  # a damaged one that was passed over
        _remove(folder, step)
    publish(staged, target)
    return target, sum(file.size for file in files.values())


def rotate_checkpoints(folder: RunFolder, keep: int, best: int | None, verified: set[int]) -> None:
    """Remove all but the newest `keep` that verify, and the best; by step number, whatever the clocks say.

    `verified` remembers what was read again before; it is brought up to date. A damaged checkpoint counts for nothing.
    """
    good = 0
    for step in reversed(committed_steps(folder)):
        if good >= keep and step != best:
            _remove(folder, step)
            verified.discard(step)
        elif step in verified or verify_checkpoint(folder.checkpoint(step)) is None:
            verified.add(step)
            good += 1


def _remove(folder: RunFolder, step: int) -> None:
    """Take a checkpoint away in one move: a kill in the midst leaves no half of it among the others."""
    going = folder.staging / f"old-{step}"
    folder.staging.mkdir(exist_ok=True)
    shutil.rmtree(going, ignore_errors=True)
    folder.checkpoint(step).replace(going)
    shutil.rmtree(going, ignore_errors=True)


def committed_steps(folder: RunFolder) -> list[int]:
    """Steps with a committed checkpoint, in order."""
    names = (path.name.removeprefix("step-") for path in folder.checkpoints.glob("step-*"))
    return sorted(int(name) for name in names if name.isdigit())


def checkpoint_bytes(folder: RunFolder) -> int:
    """The size of the newest checkpoint, 0 where there is none."""
    for step in reversed(committed_steps(folder)):
        if manifest := read_manifest(folder.checkpoint(step)):
            return sum(file.size for file in manifest.files.values())
    return 0


def read_manifest(path: Path) -> Manifest | None:
    """The manifest of a checkpoint's folder; None where it is missing or makes no sense.

    Raises:
        FineTuneError: it is of another version.
    """
    try:
        return Manifest.model_validate(read_record(path / MANIFEST))
    except ValidationError:
        return None


def verify_checkpoint(path: Path) -> Problem | None:
    """What is wrong with a checkpoint, or None."""
    try:
        manifest = read_manifest(path)
    except FineTuneError as error:
        return _rejected(path, str(error))
    if manifest is None:
        return _rejected(path, "missing_or_damaged")
    if path.name != f"step-{manifest.step:07d}":
        return _rejected(path, "of_other_step", seen=manifest.step)
    if missing := sorted(NEEDED - manifest.files.keys()):
        return _rejected(path, "not_listed", seen=missing[0])
    for name, expected in manifest.files.items():
        file = path / name
        if not file.is_file():
            return _rejected(path, "is_missing", name)
        if file.stat().st_size != expected.size:
            return _rejected(path, "other_size", name, seen=file.stat().st_size, expected=expected.size)
        try:
            if sha256_of(file) != expected.sha256:
                return _rejected(path, "other_sha256", name)
        except OSError as error:
            return _rejected(path, "unreadable_file", name, seen=error.strerror)
    return None


def newest_checkpoint(folder: RunFolder) -> tuple[int | None, list[Problem]]:
    """The newest step that verifies, and why newer ones were passed over."""
    passed_over: list[Problem] = []
    for step in reversed(committed_steps(folder)):
        problem = verify_checkpoint(folder.checkpoint(step))
        if problem is None:
            return step, passed_over
        passed_over.append(problem)
    return None, passed_over


def changed_conditions(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """What a resume would not find as it was: 'threads 2 -> 4', 'torch 2.13.0 -> 2.14.0'."""
    changes: list[str] = []
    for name, value in now.items():
        earlier = before.get(name)
        if isinstance(value, dict) and isinstance(earlier, dict):
            changes += changed_conditions(earlier, value)
        elif earlier != value:
            changes.append(f"{name} {_short(earlier)} -> {_short(value)}")
    return changes


def _short(value: Any) -> str:
    return str(value)[:16]


def _rejected(path: Path, reason: str, name: str = MANIFEST, **found: Any) -> Problem:
    return Problem.warning(Code.CHECKPOINT_REJECTED, path=path.name, reason=reason, name=name, **found)
