"""A machine to train on, as a plain value: whoever detects one makes it, and presets only read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GIB = 1024**3


@dataclass(frozen=True)
class Device:
    """One place a model can be trained.

    `kind` is torch's own name of the backend ("cuda" covers ROCm too). Memory is in bytes: the
    device's own for a GPU, the machine's for the CPU and for Apple's unified memory.
    """

    kind: Literal["cpu", "cuda", "mps"]
    name: str
    total_memory_bytes: int
    free_memory_bytes: int
    index: int = 0
    bf16: bool = False
    """Whether it multiplies bfloat16 in hardware."""

    @property
    def total_gib(self) -> float:
        return self.total_memory_bytes / GIB
