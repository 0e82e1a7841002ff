"""The work of a whole run: its updates, its tokens, and the FLOPs per token."""

from __future__ import annotations

import math
from dataclasses import dataclass

from interfaces.config import FineTuneConfig, method_of, token_budget
from interfaces.steps import packs_about, rows_kept_aside, updates_per_epoch
from studio.models.architecture import Architecture
from studio.sizing.batch_lengths import Lengths, kept_rows, trained_in, worst_batch

CPU_FLOPS = 1e11
"""The peak FLOPS of one core, to detect impractical runs before any step has been timed."""


@dataclass(frozen=True)
class Work:
    """Totals over all epochs."""

    steps: int
    tokens: float


def work_of(config: FineTuneConfig, lengths: Lengths) -> Work | None:
    """Return the updates and tokens of a run over rows of these lengths, or None if no row is left."""
    kept = kept_rows(lengths, config.max_length, config.long_rows)
    all_rows = sum(count for _, count in kept)
    if not all_rows:
        return None
    examples, sequences = examples_trained(config, all_rows), method_of(config).sequences
    rows = examples * sequences
    tokens = rows * sum(tokens * count for tokens, count in kept) / all_rows
    budget = token_budget(config)
    batches = packs_about(tokens, budget) if budget else math.ceil(examples / config.per_device_train_batch_size)
    per_epoch = updates_per_epoch(batches, config.gradient_accumulation_steps)
    steps = max(math.ceil(per_epoch * config.num_train_epochs), 1)
    tokens *= config.num_train_epochs
    if config.max_steps > 0:  # takes precedence over epochs, whether it means fewer or more steps
        return Work(config.max_steps, tokens * config.max_steps / steps)
    return Work(steps, tokens)


def examples_trained(config: FineTuneConfig, rows: int) -> int:
    """Return how many examples are trained on, of `rows` sequences: those that are not held out for validation."""
    examples = rows // method_of(config).sequences
    return examples - rows_kept_aside(examples, 0.0 if config.validation_dataset else config.validation_split)


def tokens_of_step(config: FineTuneConfig, lengths: Lengths | None) -> float:
    """Return the tokens of one update; without lengths, every row has `max_length` tokens."""
    work = work_of(config, lengths) if lengths is not None else None
    if work is not None:
        return work.tokens / work.steps
    return float(sum(worst_batch(config, None)) * config.gradient_accumulation_steps)


def flops_per_token(shape: Architecture, config: FineTuneConfig, lengths: Lengths | None) -> float:
    """Return FLOPs per token: per weight 2 forward, 2 backward, 2 to recompute, and 2 for its own gradient.

    Frozen weights need none of those. Kaplan et al. 2020 (arXiv:2001.08361, section 2.1) count 6 per weight if all are
    trained; the logits of a head that is trained are computed twice. Attention adds 2 products
    of the row's length for each pass, half of which causality saves. A method's reference, and what else it reads without
    gradients, are forward passes over as many tokens for each sequence. No gradient passes the layers below the lowest
    one with an adapter.
    """
    rows = worst_batch(config, lengths)
    length = sum(rows) / len(rows)
    head = shape.table_weights * trained_in(config, rows, lengths) / sum(rows)
    body = shape.active_parameters - shape.table_weights
    method = method_of(config)
    read = (method.reference + method.unlearned) / method.sequences
    passes = 3 if config.gradient_checkpointing is True else 2
    attention = 2 * length * shape.queries * shape.layers
    whole = 2 * body + attention
    learning = 1 - min(config.lora.layers_to_transform, default=0) / shape.layers
    if config.tuning == "full":
        return (read + passes) * whole + 2 * body + (8 + 2 * read) * head
    return (1 + read + (passes - 1) * learning) * whole + (4 + 2 * read) * head
