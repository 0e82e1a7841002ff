"""Sizes shared by the trainer's kernels and the memory estimate. Each one is defined only here."""

from __future__ import annotations

from interfaces.config import FineTuneConfig

LONGEST_PRODUCT = 512
"""Tokens. Up to this, bf16 products on a CPU are 2 to 4 times as fast as torch's fused kernel (docs/performance.md)."""
LONGEST_KEPT = 256
"""Tokens. Up to this, attention probabilities are kept for the backward pass; above it they are recomputed."""
CHUNK_ELEMENTS = 1 << 25
"""Logits per chunk: 64 MB in 16 bits, enough rows for a matrix product at full speed."""
BLOCK_ELEMENTS = 1 << 20
"""Logits held in 32 bits at a time on a CPU, so that they stay in its cache and need no new memory."""
OPTIMIZER_BYTES = {"adamw_8bit": 2, "paged_adamw_8bit": 2, "sgd": 0, "adafactor": 0}
"""State bytes per trained parameter of the optimizers other than AdamW, which keeps two moments in the weight's format."""


def checkpoint_bytes(config: FineTuneConfig, width: int) -> int:
    """Return the bytes per trained parameter in a checkpoint, given those of a weight that the optimizer updates."""
    return width + OPTIMIZER_BYTES.get(config.optim, 2 * width)
