"""Assesses a config (does it fit, how long does it take) for the page, the terminal, and the start of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from interfaces.config import FineTuneConfig
from interfaces.device import Device
from interfaces.dotted_names import with_changes
from interfaces.folders import Home
from interfaces.problems import Code, Problem
from studio.models.architecture import Architecture
from studio.models.facts import ModelFacts, model_facts
from studio.sizing.batch_lengths import Lengths
from studio.sizing.calibration import Calibration, calibration_of, variant_name
from studio.sizing.estimate import Estimate, estimate
from studio.sizing.fitting import Fit, make_it_fit, resolve_checkpointing, savings
from studio.sizing.lengths import known_lengths
from studio.sizing.records import AssessmentRecord, Loss, RunEstimate
from studio.sizing.work import CPU_FLOPS, flops_per_token, tokens_of_step, work_of

START_SECONDS = 10.0
"""The time for loading libraries and the model before the first step."""


@dataclass(frozen=True)
class Assessment:
    """The estimate of a config with `gradient_checkpointing` resolved, and the changes that would make it fit."""

    config: FineTuneConfig
    facts: ModelFacts
    estimate: Estimate
    lengths: Lengths | None
    calibration: Calibration
    loss: Loss = "trained"

    @property
    def correction(self) -> float:
        return self.calibration.correction(self.estimate.device)

    def fit(self) -> Fit | None:
        """Return the mildest change that makes the run fit, with the resulting step time."""
        shape, device = self.facts.shape, self.estimate.device
        found = make_it_fit(shape, self.config, device, self.lengths, self.correction)
        if found is None:
            return None
        config = with_changes(self.config, found.changes)
        return replace(found, step_seconds=step_seconds(shape, config, device, self.lengths, self.calibration))

    def savings(self) -> list[Fit]:
        return savings(self.facts.shape, self.config, self.estimate.device, self.lengths, self.correction)

    def warnings(self) -> list[Problem]:
        """Return the run's warnings that are known before it starts."""
        positions, length = self.facts.shape.context, self.config.max_length
        if not positions or length <= positions:
            return []
        found = {"max_length": length, "model": self.facts.name, "value": positions}
        return [Problem.warning(Code.POSITIONS_EXCEEDED, **found)]

    def to_record(self) -> AssessmentRecord:
        """As `finetune estimate --json` and the page get it."""
        return AssessmentRecord(
            **dict(self.estimate.to_record()), model=self.facts.name, parameters=self.facts.shape.parameters, loss=self.loss,
            download_bytes=self.facts.download_bytes, lengths_known=self.lengths is not None, correction=self.correction,
            gradient_checkpointing=self.config.gradient_checkpointing is True, warnings=self.warnings(),
        )  # fmt: skip

    def run_record(self) -> RunEstimate:
        """What a run keeps of it."""
        found = dict(self.estimate.to_record())
        return RunEstimate(**found, correction=self.correction, shape=self.facts.shape, config=self.config)


def assess(
    home: Home,
    config: FineTuneConfig,
    device: Device,
    loss: Loss = "trained",
    online: bool = False,
    lengths: Lengths | None = None,
) -> Assessment:
    """Assess a config. Without the lengths of its dataset, every row counts as `max_length` tokens.

    Raises:
        FineTuneError: the model is unknown.
    """
    facts = model_facts(home, config.model_name, config.model_revision, online)
    lengths = lengths or known_lengths(home, config.dataset, config.model_name)
    calibration = calibration_of(home)
    correction = calibration.correction(device)
    resolved = resolve_checkpointing(facts.shape, config, device, lengths, correction)
    found = estimate(facts.shape, resolved, device, lengths, loss, correction)
    steps, seconds = duration(facts.shape, resolved, device, lengths, calibration)
    return Assessment(resolved, facts, replace(found, steps=steps, seconds=seconds), lengths, calibration, loss)


def duration(
    shape: Architecture, config: FineTuneConfig, device: Device, lengths: Lengths | None, calibration: Calibration
) -> tuple[int | None, tuple[float, float] | None]:
    """Return (updates, (min, max) seconds) of a run; None for what depends on unknown data or an unknown speed."""
    work = work_of(config, lengths) if lengths is not None else None
    if work is None:
        return config.max_steps if config.max_steps > 0 and lengths is None else None, None
    speeds = _speeds(shape, config, device, lengths, calibration)
    if speeds is None:
        return work.steps, None
    slowest, fastest = speeds
    return work.steps, (START_SECONDS + work.tokens / fastest, START_SECONDS + work.tokens / slowest)


def step_seconds(
    shape: Architecture, config: FineTuneConfig, device: Device, lengths: Lengths | None, calibration: Calibration
) -> float | None:
    """Return the minimum step time at the measured speed, or on a CPU without measurements at its peak speed."""
    speeds = _speeds(shape, config, device, lengths, calibration)
    tokens = tokens_of_step(config, lengths)
    if speeds is not None:
        return tokens / speeds[1]
    if device.kind != "cpu":
        return None
    return tokens * flops_per_token(shape, config, lengths) / (CPU_FLOPS * (os.cpu_count() or 1))


def _speeds(
    shape: Architecture, config: FineTuneConfig, device: Device, lengths: Lengths | None, calibration: Calibration
) -> tuple[float, float] | None:
    variant = variant_name(config)
    return calibration.tokens_per_second(device, config.model_name, variant, flops_per_token(shape, config, lengths))
