"""One answer to 'will it fit, how long will it take', for the page, the terminal and the start of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from interfaces.config import FineTuneConfig
from interfaces.device import Device
from interfaces.folders import Home
from studio.models.architecture import Architecture
from studio.models.facts import ModelFacts, model_facts
from studio.sizing.batch_lengths import Lengths, kept_rows, trained_in, worst_batch
from studio.sizing.calibration import Calibration, calibration_of, variant_name
from studio.sizing.estimate import Estimate, Loss, estimate
from studio.sizing.fitting import Fit, make_it_fit, resolve_checkpointing, savings
from studio.sizing.lengths import known_lengths

START_SECONDS = 10.0
"""Loading libraries and model, before the first step."""


@dataclass(frozen=True)
class Assessment:
    """The estimate of a config with `gradient_checkpointing` resolved, and what would make it fit."""

    config: FineTuneConfig
    facts: ModelFacts
    estimate: Estimate
    lengths: Lengths | None
    correction: float
    loss: Loss = "trained"

    def fit(self) -> Fit | None:
        return make_it_fit(self.facts.shape, self.config, self.estimate.device, self.lengths, self.correction)

    def savings(self) -> list[Fit]:
        return savings(self.facts.shape, self.config, self.estimate.device, self.lengths, self.correction)

    def to_record(self) -> dict[str, Any]:
        return {
            **self.estimate.to_record(), "model": self.facts.name, "parameters": self.facts.shape.parameters, "loss": self.loss,
            "download_bytes": self.facts.download_bytes, "lengths_known": self.lengths is not None, "correction": self.correction,
            "gradient_checkpointing": self.config.gradient_checkpointing,
        }  # fmt: skip

    def run_record(self) -> dict[str, Any]:
        """What a run keeps of it, in `estimate.json`."""
        return {
            **self.estimate.to_record(), "model": self.config.model_name, "way": variant_name(self.config.model_dump()),
            "correction": self.correction, "flops_per_token": flops_per_token(self.facts.shape, self.config, self.lengths),
        }  # fmt: skip


def assess(
    home: Home,
    config: FineTuneConfig,
    device: Device,
    loss: Loss = "trained",
    online: bool = False,
    lengths: Lengths | None = None,
) -> Assessment:
    """The verdict on a config. Without figures of its dataset each row counts as long as `max_length`.

    Raises:
        FineTuneError: nothing is known of the model.
    """
    facts = model_facts(home, config.model_name, config.model_revision, online)
    lengths = lengths or known_lengths(home, config.dataset, config.model_name)
    calibration = calibration_of(home)
    correction = calibration.correction(device)
    resolved = resolve_checkpointing(facts.shape, config, device, lengths, correction)
    found = estimate(facts.shape, resolved, device, lengths, loss, correction)
    steps, seconds = duration(facts.shape, resolved, device, lengths, calibration)
    return Assessment(resolved, facts, replace(found, steps=steps, seconds=seconds), lengths, correction, loss)


def duration(
    shape: Architecture, config: FineTuneConfig, device: Device, lengths: Lengths | None, calibration: Calibration
) -> tuple[int | None, float | None]:
    """(updates, seconds) of a whole run: None where the data, or this machine's speed, isn't known yet."""
    if lengths is None:
        return (config.max_steps, None) if config.max_steps > 0 else (None, None)
    share = 1 - (0 if config.validation_dataset else config.validation_split)
    kept = kept_rows(lengths, config.max_length, config.long_rows)
    all_rows = sum(count for _, count in kept)
    if not all_rows:
        return None, None
    rows = max(round(all_rows * share), 1)
    mean = sum(tokens * count for tokens, count in kept) / all_rows
    in_batch = len(worst_batch(config, lengths)) if config.packing else config.per_device_train_batch_size
    per_epoch = math.ceil(math.ceil(rows / in_batch) / config.gradient_accumulation_steps)
    steps = max(math.ceil(per_epoch * config.num_train_epochs), 1)
    tokens = rows * mean * config.num_train_epochs
    if 0 < config.max_steps < steps:
        tokens, steps = tokens * config.max_steps / steps, config.max_steps
    speed = calibration.tokens_per_second(
        device, config.model_name, variant_name(config.model_dump()), flops_per_token(shape, config, lengths)
    )
    return steps, None if speed is None else START_SECONDS + tokens / speed


def flops_per_token(shape: Architecture, config: FineTuneConfig, lengths: Lengths | None) -> float:
    """Operations a token: 2 a weight forwards, 2 backwards (nothing is computed for frozen weights), 2 more to recompute.

    Kaplan et al. 2020 (arXiv:2001.08361, section 2.1) count 6 a weight where all are trained. Attention adds 2 products of
    the row's length for each, half of which causality saves.
    """
    rows = worst_batch(config, lengths)
    length = sum(rows) / len(rows)
    head = shape.table_weights * trained_in(rows, lengths) / sum(rows)
    body = shape.active_parameters - shape.table_weights
    passes = 3 if config.gradient_checkpointing is True else 2
    attention = 2 * length * shape.queries * shape.layers
    return passes * (2 * body + attention) + 4 * head
