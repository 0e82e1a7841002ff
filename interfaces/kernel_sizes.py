"""Sizes shared by the trainer's kernels and the memory estimate. Each one is defined only here."""

from __future__ import annotations

LONGEST_PRODUCT = 512
"""Tokens. Up to this, bf16 products on a CPU are 2 to 4 times as fast as torch's fused kernel (docs/performance.md)."""
LONGEST_KEPT = 256
"""Tokens. Up to this, attention probabilities are kept for the backward pass; above it they are recomputed."""
CHUNK_ELEMENTS = 1 << 25
"""Logits per chunk: 64 MB in 16 bits, enough rows for a matrix product at full speed."""
BLOCK_ELEMENTS = 1 << 20
"""Logits held in 32 bits at a time on a CPU, so that they stay in its cache and need no new memory."""
