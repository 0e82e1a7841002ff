"""Sizes that the trainer's kernels work with and that the arithmetic of memory plays through: each stands here alone."""

from __future__ import annotations

LONGEST_PRODUCT = 512
"""Tokens: up to here bf16 matrix products beat torch's fused kernel on a CPU, by 2 to 4 times (docs/performance.md)."""
LONGEST_KEPT = 256
"""Tokens: up to here the attention's probabilities are kept for the way back; above it they are computed again."""
CHUNK_ELEMENTS = 1 << 25
"""Logits at a time: 64 MB in 16 bits, enough rows for a product at full speed."""
BLOCK_ELEMENTS = 1 << 20
"""Logits that are in 32 bits at a time on a CPU: they stay in its cache, and no fresh memory is asked for."""
