"""Finds where an attempt starts: at the newest valid checkpoint, or from scratch, with warnings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from interfaces.config import FineTuneConfig
from interfaces.folders import RunFolder
from interfaces.problems import Code, Problem
from trainer.artifacts.checkpoints import (
    Conditions,
    changed_conditions,
    committed_steps,
    newest_checkpoint,
    read_manifest,
)


@dataclass(frozen=True)
class ResumePoint:
    """The start of an attempt. `step` is the checkpoint's, or None to start from scratch."""

    step: int | None
    conditions: dict[str, object] = field(default_factory=dict)
    unlogged: dict[str, float] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()


def find_resume_point(folder: RunFolder) -> ResumePoint:
    """Return the newest valid checkpoint, with a warning for each damaged newer one."""
    step, passed_over = newest_checkpoint(folder)
    if step is None:
        count = len(committed_steps(folder))
        restarted = [Problem.warning(Code.RESTARTED_FROM_ZERO, count=count)] if count else []
        return ResumePoint(None, warnings=(*passed_over, *restarted))
    manifest = read_manifest(folder.checkpoint(step))
    if manifest is None:
        raise AssertionError(f"the checkpoint of step {step} has no manifest, although it was just verified")
    return ResumePoint(step, manifest.conditions, manifest.unlogged, tuple(passed_over))


def no_longer_exact(resume_point: ResumePoint, conditions: Conditions) -> list[Problem]:
    """Return a warning if the conditions of a resume differ from those of the checkpoint."""
    if resume_point.step is None or not (
        changed := changed_conditions(resume_point.conditions, conditions.model_dump())
    ):
        return []
    return [Problem.warning(Code.RESUME_NOT_EXACT, step=resume_point.step, changed=changed)]


def hash_of(config: FineTuneConfig) -> str:
    """Hash all settings that differ from their defaults: new settings in later versions don't change the hash."""
    settings = config.model_dump(mode="json", exclude_defaults=True, exclude={"name", "output_dir"})
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
