"""'Make it fit': finds the mildest change of settings that makes a run fit, and the cost and saving of each change.

The mildest changes don't affect the training: gradient checkpointing, and smaller batches with more accumulation. Next
is a quantized base model, and last are changes that lose information: shorter rows and a smaller rank.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from interfaces.advice import fewer_at_once
from interfaces.config import FineTuneConfig, method_of, token_budget
from interfaces.device import Device
from interfaces.dotted_names import with_changes
from interfaces.method_settings import FULL_RATES
from interfaces.problems import Changes
from studio.models.architecture import Architecture
from studio.sizing.batch_lengths import Lengths
from studio.sizing.estimate import Estimate, estimate
from studio.sizing.records import FitRecord
from studio.sizing.work import examples_trained

CHECKPOINTING, HALVED, BITS_8, BITS_4, SHORTER, RANK = 1.0, 0.6, 3.0, 4.0, 6.0, 2.5
"""The penalty of each change. `HALVED`, `SHORTER`, and `RANK` count once per halving."""
LEAST_LENGTH, LEAST_RANK = 128, 4
LONGEST_STEP = 600.0
"""Seconds. A change with longer steps is impractical: it is reported but not suggested."""
BITS = 2
"""The index of quantization in `_options`."""


Option = tuple[float, Changes, str]
"""A tuple of (penalty, changes, the key of its cost)."""


@dataclass(frozen=True)
class Fit:
    """A change of settings, what it costs (`costs` are keys of sentences), and the memory with it."""

    changes: Changes
    costs: tuple[str, ...]
    estimate: Estimate
    step_seconds: float | None = None
    """The resulting step time, if known."""

    @property
    def is_practical(self) -> bool:
        return self.step_seconds is None or self.step_seconds <= LONGEST_STEP

    def to_record(self) -> FitRecord:
        return FitRecord(
            changes=self.changes, costs=list(self.costs), total_bytes=self.estimate.total_bytes,
            fit_level=self.estimate.fit_level, step_seconds=self.step_seconds, practical=self.is_practical,
        )  # fmt: skip


def resolve_checkpointing(
    shape: Architecture, config: FineTuneConfig, device: Device, lengths: Lengths | None = None, correction: float = 1.0
) -> FineTuneConfig:
    """Resolve `gradient_checkpointing: auto`: on if the run would not fit comfortably without it."""
    if config.gradient_checkpointing != "auto":
        return config
    without = with_changes(config, {"gradient_checkpointing": False})
    if estimate(shape, without, device, lengths, correction=correction).fit_level == "fits":
        return without
    return with_changes(config, {"gradient_checkpointing": True})


def make_it_fit(
    shape: Architecture, config: FineTuneConfig, device: Device, lengths: Lengths | None = None, correction: float = 1.0
) -> Fit | None:
    """Return the mildest change that makes the run fit; None if no change is enough, or none is needed."""
    config = resolve_checkpointing(shape, config, device, lengths, correction)
    if estimate(shape, config, device, lengths, correction=correction).fit_level == "fits":
        return None
    options = _options(config, device, lengths)
    strongest = [dimension[-1] for dimension in options]
    # With all other options at their strongest. On a CPU, quantization can need more, as the file stays mapped.
    hopeful = [
        bits for bits in options[BITS]
        if _with(shape, config, (*strongest[:BITS], bits, *strongest[BITS + 1 :]), device, lengths, correction).estimate.fit_level == "fits"
    ]  # fmt: skip
    candidates = itertools.product(*options[:BITS], hopeful, *options[BITS + 1 :])
    found = (_with(shape, config, chosen, device, lengths, correction) for chosen in sorted(candidates, key=_dislike))
    fit = next((fit for fit in found if fit.changes and fit.estimate.fit_level == "fits"), None)
    if fit is not None or config.tuning == "lora":
        return fit
    adapter = _with(shape, config, (_as_adapter(config),), device, lengths, correction)
    if adapter.estimate.fit_level == "fits":
        return adapter
    more = make_it_fit(shape, with_changes(config, adapter.changes), device, lengths, correction)
    return more and Fit({**adapter.changes, **more.changes}, (*adapter.costs, *more.costs), more.estimate)


def savings(
    shape: Architecture, config: FineTuneConfig, device: Device, lengths: Lengths | None = None, correction: float = 1.0
) -> list[Fit]:
    """Return what each single change would save, largest first, without changes that save nothing."""
    config = resolve_checkpointing(shape, config, device, lengths, correction)
    now = estimate(shape, config, device, lengths, correction=correction).total_bytes
    singles = [
        _with(shape, config, (option,), device, lengths, correction)
        for dimension in [*_options(config, device, lengths), [_as_adapter(config)]]
        for option in dimension
        if option[1]
    ]
    once = {fit.costs: fit for fit in reversed(singles)}  # of several halvings the first
    return sorted(
        (fit for fit in once.values() if fit.estimate.total_bytes < now), key=lambda fit: fit.estimate.total_bytes
    )


def _options(config: FineTuneConfig, device: Device, lengths: Lengths | None) -> list[list[Option]]:
    """Return the options of each kind, from no change to the strongest."""
    return [_recomputing(config), _batches(config, lengths), _bits(config, device), _lengths(config), _ranks(config)]


def _dislike(chosen: tuple[Option, ...]) -> float:
    return sum(option[0] for option in chosen)


def _with(
    shape: Architecture, config: FineTuneConfig, chosen: tuple[Option, ...], device: Device, lengths: Lengths | None,
    correction: float,
) -> Fit:  # fmt: skip
    """Evaluate a combination of changes: its cost and the resulting memory."""
    changes = {name: value for option in chosen for name, value in option[1].items()}
    costs = tuple(option[2] for option in chosen if option[2])
    found = estimate(shape, with_changes(config, changes), device, lengths, correction=correction)
    return Fit(changes, costs, found)


NOTHING: Option = (0.0, {}, "")


def _recomputing(config: FineTuneConfig) -> list[Option]:
    if config.gradient_checkpointing is True:
        return [NOTHING]
    return [NOTHING, (CHECKPOINTING, {"gradient_checkpointing": True}, "recompute")]


def _batches(config: FineTuneConfig, lengths: Lengths | None) -> list[Option]:
    """Halve the batch and double the accumulation. An update keeps its rows, but never needs more rows than exist."""
    rows = examples_trained(config, lengths.rows) if lengths else 0
    batch, turns, budget = (
        config.per_device_train_batch_size,
        config.gradient_accumulation_steps,
        config.max_tokens_per_batch,
    )
    found = [NOTHING]
    dislike = 0.0
    least = method_of(config).least_batch
    while batch > 1 and fewer_at_once(batch, turns)[0] >= least and fewer_at_once(batch, turns)[1] <= 4096:
        (batch, turns), dislike = fewer_at_once(batch, turns), dislike + HALVED
        turns = min(turns, max(rows // batch, 1)) if rows else turns
        changes: Changes = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": turns}
        if token_budget(config) and budget:
            changes["max_tokens_per_batch"] = max(
                budget // (config.per_device_train_batch_size // batch), config.max_length
            )
        found.append((dislike, changes, "smaller_batch"))
    return found


def _bits(config: FineTuneConfig, device: Device) -> list[Option]:
    """Quantize what isn't trained; where all weights are, the optimizer's state."""
    found = [NOTHING]
    if device.kind == "mps":
        return found  # bitsandbytes has no kernels there
    if config.tuning == "full":
        if device.kind == "cuda" and config.optim.startswith("adamw_torch"):
            found.append((BITS_8, {"optim": "adamw_8bit"}, "optimizer_8_bits"))
        return found
    if not (config.load_in_8bit or config.load_in_4bit):
        found.append((BITS_8, {"load_in_8bit": True}, "bits_8"))
    if not config.load_in_4bit:
        found.append((BITS_4, {"load_in_8bit": False, "load_in_4bit": True}, "bits_4"))
    return found


def _as_adapter(config: FineTuneConfig) -> Option:
    """Train an adapter instead of all weights, with a learning rate that is as usual for it."""
    if config.tuning == "lora":
        return NOTHING
    rate = float(f"{min(config.learning_rate / FULL_RATES[0], method_of(config).learning_rates[1]):.3g}")
    return 0.0, {"tuning": "lora", "learning_rate": rate}, "only_an_adapter"


def _lengths(config: FineTuneConfig) -> list[Option]:
    found, length, dislike = [NOTHING], config.max_length, 0.0
    while length // 2 >= LEAST_LENGTH:
        length, dislike = length // 2, dislike + SHORTER
        found.append((dislike, {"max_length": length}, "shorter_rows"))
    return found


def _ranks(config: FineTuneConfig) -> list[Option]:
    if config.tuning == "full" or config.lora.rank_pattern or config.lora.alpha_pattern:
        return [NOTHING]
    found, rank, dislike = [NOTHING], config.lora.r, 0.0
    while rank // 2 >= LEAST_RANK:
        rank, dislike = rank // 2, dislike + RANK
        alpha = config.lora.lora_alpha * rank / config.lora.r  # keep the scale alpha / r
        found.append((dislike, {"lora.r": rank, "lora.lora_alpha": alpha}, "smaller_rank"))
    return found
