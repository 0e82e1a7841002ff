"""A training device as a plain value: detection code creates it, presets only read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GIB = 1024**3


@dataclass(frozen=True)
class Device:
    """One device that can train a model.

    `kind` is torch's backend name ("cuda" includes ROCm). Memory is in bytes: the device's
    for a GPU, the machine's for the CPU and for Apple's unified memory.
    """

    kind: Literal["cpu", "cuda", "mps"]
    name: str
    total_memory_bytes: int
    free_memory_bytes: int
    index: int = 0
    bf16: bool = False
    """Whether the hardware multiplies bfloat16."""

    @property
    def total_gib(self) -> float:
        return self.total_memory_bytes / GIB
