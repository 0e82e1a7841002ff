"""The models on offer: the requirements' recommended Qwen sizes first, with their hints and advice.

VRAM and time are the requirements' own figures for an RTX 3060 (1000 samples, 3 epochs), not measured here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from interfaces.config import STARTER
from interfaces.device import Device
from interfaces.folders import Home

Tier = Literal["best", "alternative", "caution", "starter"]


@dataclass(frozen=True)
class CatalogueEntry:
    """One model. `parameters` in millions, `context` in tokens, `vram_hint` in GB as a person reads it."""

    id: str
    tier: Tier
    parameters: int
    context: int
    licence: str
    vram_hint: str
    time_hint: str
    advice: dict[str, str]

    def vram_text(self, language: str) -> str:
        """The hint in a language: only the words in it differ."""
        if language == "en":
            return self.vram_hint
        return self.vram_hint.replace("bits", "位").replace("none (CPU, 3-7 GB)", "无需（CPU，3-7 GB）")

    @property
    def least_vram_gib(self) -> float:
        """The lower end of the hint."""
        figure = self.vram_hint.split("-")[0].split(" ")[0]
        return float(figure) if figure.isdigit() else 0.0


CATALOGUE = (
    CatalogueEntry(
        "Qwen/Qwen2.5-Coder-1.5B-Instruct", "best", 1544, 32768, "Apache-2.0", "6-8 GB (8 bits)", "2-4 h",
        {"en": "Best choice for an RTX 3060: strong at code, fine-tunes well.",
         "zh": "RTX 3060 的首选：擅长代码，微调效果好。"},
    ),
    CatalogueEntry(
        "Qwen/Qwen2.5-0.5B-Instruct", "alternative", 494, 32768, "Apache-2.0", "4-6 GB", "1-2 h",
        {"en": "Trains very fast: for quick experiments.", "zh": "训练很快，适合快速试验。"},
    ),
    CatalogueEntry(
        "Qwen/Qwen2.5-1.5B-Instruct", "alternative", 1544, 32768, "Apache-2.0", "6-8 GB", "2-4 h",
        {"en": "For general conversation.", "zh": "适合通用对话。"},
    ),
    CatalogueEntry(
        "Qwen/Qwen2.5-3B-Instruct", "caution", 3086, 32768, "Qwen Research", "10-12 GB", "",
        {"en": "An RTX 3060 only just manages it. Licence: not for commercial use.",
         "zh": "RTX 3060 只能勉强运行。许可：不可商用。"},
    ),
    CatalogueEntry(
        "Qwen/Qwen2.5-7B-Instruct", "caution", 7616, 32768, "Apache-2.0", "16-20 GB", "",
        {"en": "Needs an RTX 4090.", "zh": "需要 RTX 4090。"},
    ),
    CatalogueEntry(
        STARTER, "starter", 135, 8192, "Apache-2.0", "none (CPU, 3-7 GB)", "minutes",
        {"en": "SmolLM2-135M-Instruct: for a first try on any machine, offline.",
         "zh": "SmolLM2-135M-Instruct：任何机器都能离线试用。"},
    ),
)  # fmt: skip


def fit_of(entry: CatalogueEntry, device: Device) -> Literal["fits", "slow", "too_big"]:
    """Whether a model fits a device, by the hint's lower end; without a GPU only the starter is quick enough."""
    if entry.tier == "starter":
        return "fits"
    if device.kind == "cuda":
        return "fits" if device.total_gib >= entry.least_vram_gib else "too_big"
    # bf16 weights and as much again to work in.
    return "slow" if device.total_memory_bytes > 4_000_000 * entry.parameters else "too_big"


def local_path(entry: CatalogueEntry, home: Home) -> Path | None:
    """Where the model lies on this machine, or None when it would be downloaded first."""
    if entry.id == STARTER:
        return home.starter if home.has_starter() else None
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache
    from huggingface_hub.errors import CacheNotFound

    config = try_to_load_from_cache(entry.id, "config.json")
    if not isinstance(config, str):
        return None
    try:
        cached = {repo.repo_id: repo for repo in scan_cache_dir().repos}
    except CacheNotFound:
        return None
    repo = cached.get(entry.id)
    whole = repo is not None and any(
        file.file_name.endswith(".safetensors") for revision in repo.revisions for file in revision.files
    )
    return Path(config).parent if whole else None
