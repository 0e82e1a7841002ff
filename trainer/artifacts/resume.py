"""Where an attempt begins: at the newest checkpoint that verifies, or anew; and what is said about it."""

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
    """`step` is that of the checkpoint, None for a run that begins anew."""

    step: int | None
    conditions: dict[str, object] = field(default_factory=dict)
    unlogged: dict[str, float] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()


def find_resume_point(folder: RunFolder) -> ResumePoint:
    """The newest checkpoint that verifies, with a warning for each that was passed over."""
    step, passed_over = newest_checkpoint(folder)
    if step is None:
        count = len(committed_steps(folder))
        anew = [Problem.warning(Code.BEGUN_ANEW, count=count)] if count else []
        return ResumePoint(None, warnings=(*passed_over, *anew))
    manifest = read_manifest(folder.checkpoint(step))
    if manifest is None:
        raise AssertionError(f"step {step} has just been verified")
    return ResumePoint(step, manifest.conditions, manifest.unlogged, tuple(passed_over))


def no_longer_exact(resume_point: ResumePoint, conditions: Conditions) -> list[Problem]:
    """A warning where a resume meets other conditions than the checkpoint was made under."""
    if resume_point.step is None or not (
        changed := changed_conditions(resume_point.conditions, conditions.model_dump())
    ):
        return []
    return [Problem.warning(Code.RESUME_NOT_EXACT, step=resume_point.step, changed=changed)]


def hash_of(config: FineTuneConfig) -> str:
    """Of every setting that isn't the default: a later version's new settings change nothing."""
    settings = config.model_dump(mode="json", exclude_defaults=True, exclude={"name", "output_dir"})
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
