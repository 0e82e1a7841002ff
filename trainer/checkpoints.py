"""Checkpoints that are whole or not there: staging, fsync, MANIFEST.json, rename, fsync of the parent.

The stock Trainer writes straight into the folder it later resumes from; one kill in ten left a torn one
that it then refused to resume from. Here what is not committed does not exist, and resume takes the newest
checkpoint whose every file still has its sha256.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from interfaces.folders import RunFolder, fsync_folder, read_json, write_json
from interfaces.problems import Code, Problem
from trainer.dataset import sha256_of

MANIFEST = "MANIFEST.json"
SECRET = "training_args.bin"  # noqa: S105  a pickle that may hold the Hub token; resume does without it


def commit_checkpoint(folder: RunFolder, step: int, facts: dict[str, Any]) -> tuple[Path, int]:
    """Move the Trainer's `staging/checkpoint-<step>` to its place; returns the place and its size in bytes."""
    staged, target = folder.staging / f"checkpoint-{step}", folder.checkpoint(step)
    (staged / SECRET).unlink(missing_ok=True)
    files: dict[str, Any] = {}
    for path in sorted(path for path in staged.rglob("*") if path.is_file()):
        _fsync_file(path)
        files[str(path.relative_to(staged))] = {"size": path.stat().st_size, "sha256": sha256_of(path)}
    write_json(staged / MANIFEST, {"step": step, **facts, "files": files})
    folder.checkpoints.mkdir(exist_ok=True)
    if target.exists():  # a stop right after a save: the same step, the same weights
        shutil.rmtree(target)
    staged.rename(target)
    fsync_folder(folder.checkpoints)
    return target, sum(file["size"] for file in files.values())


def rotate_checkpoints(folder: RunFolder, keep: int) -> None:
    """Remove the oldest by step number, once the newest was read again and verified."""
    steps = committed_steps(folder)
    if len(steps) > keep and verify_checkpoint(folder.checkpoint(steps[-1])) is None:
        for step in steps[:-keep]:
            shutil.rmtree(folder.checkpoint(step))


def committed_steps(folder: RunFolder) -> list[int]:
    """Steps with a committed checkpoint, in order."""
    names = (path.name.removeprefix("step-") for path in folder.checkpoints.glob("step-*"))
    return sorted(int(name) for name in names if name.isdigit())


def verify_checkpoint(path: Path) -> Problem | None:
    """What is wrong with a checkpoint, or None."""
    manifest = read_json(path / MANIFEST)
    if manifest is None:
        return _rejected(path, f"{MANIFEST} is missing or damaged")
    for name, expected in manifest.get("files", {}).items():
        file = path / name
        if not file.is_file():
            return _rejected(path, f"{name} is missing")
        if file.stat().st_size != expected["size"]:
            return _rejected(path, f"{name} has {file.stat().st_size} bytes instead of {expected['size']}")
        if sha256_of(file) != expected["sha256"]:
            return _rejected(path, f"{name} has another sha256 than when it was saved")
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


def _rejected(path: Path, reason: str) -> Problem:
    return Problem.warning(Code.CHECKPOINT_REJECTED, path=path.name, reason=reason)


def _fsync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
