"""Config changes that fix an out-of-memory error or a diverged run. The studio and the trainer both suggest them."""

from __future__ import annotations

from interfaces.config import FineTuneConfig, method_of
from interfaces.problems import Changes

LEAST_LENGTH = 16


def slower(learning_rate: float) -> Changes:
    """Return the config change that fixes a diverged run."""
    return {"learning_rate": float(f"{learning_rate / 5:.1e}")}


def fewer_at_once(batch: int, turns: int) -> tuple[int, int]:
    """Halve the batch size, or set an odd one to 1, and accumulate more so that the effective batch stays the same."""
    fewer = batch // 2 if batch % 2 == 0 else 1
    return fewer, turns * batch // fewer


def smaller(config: FineTuneConfig) -> Changes:
    """Return the mildest change that saves memory, or an empty dict; keep the effective batch size where possible."""
    batch, accumulation = config.per_device_train_batch_size, config.gradient_accumulation_steps
    if fewer_at_once(batch, accumulation)[0] >= method_of(config).least_batch and batch > 1:
        fewer, turns = fewer_at_once(batch, accumulation)
        return {"per_device_train_batch_size": fewer, "gradient_accumulation_steps": turns}
    if config.gradient_checkpointing is not True:
        return {"gradient_checkpointing": True}
    if not config.load_in_4bit:
        return {"load_in_8bit": False, "load_in_4bit": True}
    shorter = max(config.max_length // 2, LEAST_LENGTH)
    return {"max_length": shorter} if shorter < config.max_length else {}


def checkpointing_without_estimate(device_kind: str) -> bool:
    """Resolve `gradient_checkpointing: auto` for an unknown architecture.

    On for CUDA, where memory is scarce; off elsewhere, where memory rarely runs out and recomputing costs time."""
    return device_kind == "cuda"
