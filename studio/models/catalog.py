"""The recommended models: first the Qwen sizes from the requirements, then other small instruct models.

`vram_hint` and `time_hint` are the figures from the requirements for an RTX 3060 (1000 samples, 3 epochs). The pages
show our estimates next to them (`studio/sizing/estimate.py`, docs/estimate.md). Sizes come from each config.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from interfaces.config import STARTER
from studio.models.architecture import Architecture

Tier = Literal["best", "alternative", "caution", "more", "starter"]


@dataclass(frozen=True)
class CatalogEntry:
    """One model. `vram_hint` is a display text in GB, empty if the requirements give none."""

    id: str
    tier: Tier
    shape: Architecture
    license: str
    vram_hint: str
    time_hint: str
    gated: bool = False

    @property
    def name(self) -> str:
        """Without its owner."""
        return "SmolLM2-135M-Instruct" if self.id == STARTER else self.id.rsplit("/", 1)[-1]

    @property
    def parameters(self) -> int:
        """In millions."""
        return round(self.shape.parameters / 1e6)

    @property
    def context(self) -> int:
        """In tokens."""
        return self.shape.context

    @property
    def download_bytes(self) -> int:
        """Approximate: the weights in 16 bits."""
        return 2 * self.shape.parameters


def _qwen2(
    hidden: int, intermediate: int, layers: int, heads: int, kv: int, vocabulary: int = 151936, tied: bool = True
) -> Architecture:
    return Architecture(
        "qwen2", hidden, intermediate, layers, heads, kv, hidden // heads, vocabulary, 32768, tied, qkv_bias=True
    )


def _qwen3(
    hidden: int, intermediate: int, layers: int, heads: int, tied: bool = True, context: int = 40960
) -> Architecture:
    return Architecture("qwen3", hidden, intermediate, layers, heads, 8, 128, 151936, context, tied, qk_norm=True)


def _llama(
    hidden: int,
    intermediate: int,
    layers: int,
    heads: int,
    kv: int,
    vocabulary: int,
    context: int,
    head_dim: int = 64,
    kind: str = "llama",
) -> Architecture:
    return Architecture(kind, hidden, intermediate, layers, heads, kv, head_dim, vocabulary, context, True)


CATALOG = (
    CatalogEntry(
        "Qwen/Qwen2.5-Coder-1.5B-Instruct", "best", _qwen2(1536, 8960, 28, 12, 2), "Apache-2.0", "6-8 GB (8-bit)", "2-4 h",
    ),
    CatalogEntry(
        "Qwen/Qwen2.5-0.5B-Instruct", "alternative", _qwen2(896, 4864, 24, 14, 2), "Apache-2.0", "4-6 GB", "1-2 h",
    ),
    CatalogEntry(
        "Qwen/Qwen2.5-1.5B-Instruct", "alternative", _qwen2(1536, 8960, 28, 12, 2), "Apache-2.0", "6-8 GB", "2-4 h",
    ),
    CatalogEntry(
        "Qwen/Qwen2.5-3B-Instruct", "caution", _qwen2(2048, 11008, 36, 16, 2), "Qwen Research", "10-12 GB", "",
    ),
    CatalogEntry(
        "Qwen/Qwen2.5-7B-Instruct", "caution", _qwen2(3584, 18944, 28, 28, 4, 152064, tied=False), "Apache-2.0", "16-20 GB", "",
    ),
    CatalogEntry("Qwen/Qwen3-0.6B", "more", _qwen3(1024, 3072, 28, 16), "Apache-2.0", "", ""),
    CatalogEntry("Qwen/Qwen3-1.7B", "more", _qwen3(2048, 6144, 28, 16), "Apache-2.0", "", ""),
    CatalogEntry(
        "Qwen/Qwen3-4B-Instruct-2507", "more", _qwen3(2560, 9728, 36, 32, context=262144), "Apache-2.0", "", "",
    ),
    CatalogEntry("Qwen/Qwen3-8B", "more", _qwen3(4096, 12288, 36, 32, tied=False), "Apache-2.0", "", ""),
    CatalogEntry(
        "HuggingFaceTB/SmolLM2-360M-Instruct", "more", _llama(960, 2560, 32, 15, 5, 49152, 8192), "Apache-2.0", "", "",
    ),
    CatalogEntry(
        "HuggingFaceTB/SmolLM2-1.7B-Instruct", "more", _llama(2048, 8192, 24, 32, 32, 49152, 8192), "Apache-2.0", "", "",
    ),
    CatalogEntry(
        "meta-llama/Llama-3.2-1B-Instruct", "more", _llama(2048, 8192, 16, 32, 8, 128256, 131072), "Llama 3.2", "", "", gated=True,
    ),
    CatalogEntry(
        "microsoft/Phi-4-mini-instruct", "more", _llama(3072, 8192, 32, 24, 8, 200064, 131072, 128, "phi3"), "MIT", "", "",
    ),
    CatalogEntry(
        STARTER, "starter", _llama(576, 1536, 30, 9, 3, 49152, 8192), "Apache-2.0", "none (CPU, 3-7 GB)", "minutes",
    ),
)  # fmt: skip
BY_ID = {entry.id: entry for entry in CATALOG}


def parameters(count: int | None) -> str:
    """Format a parameter count: 135M, 1.5B."""
    if not count:
        return "-"
    return f"{count / 1e9:.1f}B" if count >= 999_500_000 else f"{count / 1e6:.0f}M"
