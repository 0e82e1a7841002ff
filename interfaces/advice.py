"""Smaller settings that cure a shortage, or a run that diverged, as config changes. Both sides of the contract give this advice."""

from __future__ import annotations

from interfaces.config import FineTuneConfig
from interfaces.problems import Changes

LEAST_LENGTH = 16


def slower(learning_rate: float) -> Changes:
    """The change for a run that diverged."""
    return {"learning_rate": float(f"{learning_rate / 5:.1e}")}


def fewer_at_once(batch: int, turns: int) -> tuple[int, int]:
    """Half as many rows at once, or one of an odd number, in as many more turns: an update sees the same rows."""
    fewer = batch // 2 if batch % 2 == 0 else 1
    return fewer, turns * batch // fewer


def smaller(config: FineTuneConfig) -> Changes:
    """The gentlest change that needs less memory, or none; the effective batch stays the same where it can."""
    batch, accumulation = config.per_device_train_batch_size, config.gradient_accumulation_steps
    if batch > 1:
        fewer, turns = fewer_at_once(batch, accumulation)
        return {"per_device_train_batch_size": fewer, "gradient_accumulation_steps": turns}
    if config.gradient_checkpointing is not True:
        return {"gradient_checkpointing": True}
    if not config.load_in_4bit:
        return {"load_in_8bit": False, "load_in_4bit": True}
    shorter = max(config.max_length // 2, LEAST_LENGTH)
    return {"max_length": shorter} if shorter < config.max_length else {}


def checkpointing_without_estimate(device_kind: str) -> bool:
    """`gradient_checkpointing: auto` where nothing is known of the model: on for a card, whose memory is short; elsewhere
    off, where recomputing costs time and memory is rarely what ends a run."""
    return device_kind == "cuda"
