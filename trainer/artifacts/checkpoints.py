"""Atomic checkpoints: staging, fsync, MANIFEST.json, rename, fsync of the parent.

The stock Trainer writes directly to the folder that it later resumes from; one kill in ten left an incomplete
checkpoint that it then refused to resume from. Here uncommitted checkpoints don't exist, and a resume takes the
newest checkpoint whose files all match their sha256.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from interfaces.errors import FineTuneError
from interfaces.files import fsync, publish, sha256_of, write_json, write_text
from interfaces.folders import RunFolder
from interfaces.problems import Code, Problem
from interfaces.records import read_record
from interfaces.run_records import RESUME_STATE
from trainer.artifacts.export import CARD
from trainer.artifacts.stored_weights import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    MODEL_CONFIG,
    MODEL_INDEX,
    MODEL_WEIGHTS,
    config_with_base,
)

MANIFEST = "MANIFEST.json"
SECRET = "training_args.bin"  # noqa: S105  a pickle that may contain the Hub token; a resume doesn't need it
NEEDED = RESUME_STATE | {ADAPTER_CONFIG, ADAPTER_WEIGHTS}
"""If one of these is missing, the Trainer silently resumes with other weights, or not at all."""
NEEDED_OF_MODEL = RESUME_STATE | {MODEL_CONFIG}
"""The same for a whole model, whose weights are one file, or shards and their index."""


class _File(BaseModel):
    size: int
    sha256: str


class Conditions(BaseModel):
    """Everything that affects the results. A resume under other conditions isn't exact."""

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
    """The files of a checkpoint, and the conditions for an exact resume."""

    step: int
    files: dict[str, _File]
    conditions: dict[str, object]
    """The `Conditions` of the version that wrote it, which may have had others."""
    unlogged: dict[str, float]
    """Sums over steps that are not logged yet, which belong to the next point of the curve."""


def commit_checkpoint(
    folder: RunFolder, step: int, conditions: Conditions, unlogged: dict[str, float], base: str
) -> tuple[Path, int]:
    """Move the Trainer's `staging/checkpoint-<step>` to its final path. Return the path and its size in bytes.

    `base` is what an adapter calls its base model, instead of the path on this machine that PEFT writes.
    """
    staged, target = folder.staging / f"checkpoint-{step}", folder.checkpoint(step)
    (staged / SECRET).unlink(missing_ok=True)
    (staged / CARD).unlink(missing_ok=True)  # PEFT's, which is empty and names the base model by its path
    if (staged / ADAPTER_CONFIG).is_file():
        write_text(staged / ADAPTER_CONFIG, config_with_base(staged, base))
    files = {}
    for path in sorted(path for path in staged.rglob("*") if path.is_file()):
        files[str(path.relative_to(staged))] = _File(size=path.stat().st_size, sha256=sha256_of(path))
    manifest = Manifest(step=step, conditions=conditions.model_dump(), unlogged=unlogged, files=files)
    write_json(staged / MANIFEST, manifest.model_dump())
    if not folder.checkpoints.exists():
        folder.checkpoints.mkdir()
        fsync(folder.path)
    if target.exists():  # a damaged checkpoint that the resume skipped
        _remove(folder, step)
    publish(staged, target)
    return target, sum(file.size for file in files.values())


def rotate_checkpoints(folder: RunFolder, keep: int, best: int | None, verified: set[int]) -> None:
    """Keep the newest `keep` valid checkpoints and the best one. The order is by step number, not by file time.

    `verified` caches the steps that have been verified; this updates it. Damaged checkpoints don't count.
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
    """Remove a checkpoint with one rename, so that a kill can't leave an incomplete one among the others."""
    going = folder.staging / f"old-{step}"
    folder.staging.mkdir(exist_ok=True)
    shutil.rmtree(going, ignore_errors=True)
    folder.checkpoint(step).replace(going)
    shutil.rmtree(going, ignore_errors=True)


def committed_steps(folder: RunFolder) -> list[int]:
    """Return the steps with a committed checkpoint, in order."""
    names = (path.name.removeprefix("step-") for path in folder.checkpoints.glob("step-*"))
    return sorted(int(name) for name in names if name.isdigit())


def checkpoint_bytes(folder: RunFolder) -> int:
    """Return the size of the newest checkpoint, or 0 without one."""
    for step in reversed(committed_steps(folder)):
        if manifest := read_manifest(folder.checkpoint(step)):
            return sum(file.size for file in manifest.files.values())
    return 0


def read_manifest(path: Path) -> Manifest | None:
    """Read the manifest of a checkpoint. Return None if it is missing or invalid.

    Raises:
        FineTuneError: another version wrote it.
    """
    try:
        return Manifest.model_validate(read_record(path / MANIFEST))
    except ValidationError:
        return None


def verify_checkpoint(path: Path) -> Problem | None:
    """Return the problem of a checkpoint, or None if it is valid."""
    try:
        manifest = read_manifest(path)
    except FineTuneError as error:
        return _rejected(path, str(error))
    if manifest is None:
        return _rejected(path, "missing_or_damaged")
    if path.name != f"step-{manifest.step:07d}":
        return _rejected(path, "of_other_step", seen=manifest.step)
    if missing := sorted(_needed(manifest) - manifest.files.keys()):
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


def _needed(manifest: Manifest) -> frozenset[str]:
    if MODEL_CONFIG not in manifest.files:
        return NEEDED
    return NEEDED_OF_MODEL | ({MODEL_INDEX} if MODEL_INDEX in manifest.files else {MODEL_WEIGHTS})


def newest_checkpoint(folder: RunFolder) -> tuple[int | None, list[Problem]]:
    """Return the newest valid step, and the problems of the newer ones."""
    passed_over: list[Problem] = []
    for step in reversed(committed_steps(folder)):
        problem = verify_checkpoint(folder.checkpoint(step))
        if problem is None:
            return step, passed_over
        passed_over.append(problem)
    return None, passed_over


def changed_conditions(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """List the conditions that differ in a resume: 'threads 2 -> 4', 'torch 2.13.0 -> 2.14.0'."""
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
