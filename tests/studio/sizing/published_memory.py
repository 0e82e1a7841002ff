"""GPU memory that others measured and published, with what they say of their settings. Bytes; the sources are linked in
docs/estimate.md.

IBM fms-acceleration, scripts/benchmarks/refs: A100 80 GB, torch.cuda.max_memory_allocated, rows of exactly 4,096 tokens,
rank 16 on q, k, v, o, dropout 0.1, checkpointing, flash attention 2, adapter in 32 bits; QLoRA and Granite under autocast.
litgpt, tutorials/resource-tables.md (October 2023): A100 40 GB, max_memory_allocated, rank 8 on q and v, bf16 throughout, no
checkpointing, the longest row of Alpaca first. Qwen README, 'Profiling of Memory and Speed': A100 80 GB, batch 1, rows padded to
the length, rank 64 on all matrices of the layers, dropout 0.05, checkpointing, flash attention 2; the tool isn't named, so
the driver's context is added. Its Q-LoRA is GPTQ in fp16 with DeepSpeed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from studio.models.architecture import Architecture

QKVO = frozenset({"q_proj", "k_proj", "v_proj", "o_proj"})
QV = frozenset({"q_proj", "v_proj"})


def _shape(
    hidden: int, intermediate: int, layers: int, heads: int, kv: int, head_dim: int, words: int, **more: Any
) -> Architecture:
    return Architecture(
        "published", hidden, intermediate, layers, heads, kv, head_dim, words, 4096, **{"tied": False, **more}
    )


SHAPES = {
    "Mistral-7B": _shape(4096, 14336, 32, 32, 8, 128, 32000),
    "Mixtral-8x7B": _shape(4096, 14336, 32, 32, 8, 128, 32000, experts=8, experts_used=2),
    "Llama-2-7B": _shape(4096, 11008, 32, 32, 32, 128, 32000),
    "Llama-2-13B": _shape(5120, 13824, 40, 40, 40, 128, 32000),
    "Llama-2-70B": _shape(8192, 28672, 80, 64, 8, 128, 32000),
    "Llama-3-8B": _shape(4096, 14336, 32, 32, 8, 128, 128256),
    "PowerLM-3B": _shape(2304, 9216, 40, 36, 36, 64, 49152, tied=True),
    "phi-1.5": _shape(2048, 8192, 24, 32, 32, 64, 51200, gated=False),
    "StableLM-3B": _shape(4096, 16384, 16, 32, 32, 128, 50688, gated=False),
    "Qwen-1.8B": _shape(2048, 5504, 24, 16, 16, 128, 151936, qkv_bias=True),
    "Qwen-7B": _shape(4096, 11008, 32, 32, 32, 128, 151936, qkv_bias=True),
    "Qwen-14B": _shape(5120, 13696, 40, 40, 40, 128, 152064, qkv_bias=True),
}


@dataclass(frozen=True)
class Row:
    """One measurement. `spec` are the fields of `studio.sizing.step_memory.StepSpec` besides lengths."""

    source: str
    model: str
    batch: int
    length: int
    measured: float
    spec: dict[str, Any]
    context: bool = False
    """Whether the driver's context is in the figure."""


def _ibm(model: str, sizes: dict[int, int], **spec: Any) -> list[Row]:
    settings = {"rank": 16, "targets": QKVO, "dropout": True, "checkpointing": True, "loss": "full", **spec}
    return [Row("fms-acceleration", model, batch, 4096, measured, settings) for batch, measured in sizes.items()]


def _litgpt(model: str, length: int, sizes: dict[int, float], bits: int = 16) -> list[Row]:
    settings = {"rank": 8, "targets": QV, "dropout": True, "adapter_width": 2, "loss": "full", "bits": bits}
    return [Row("litgpt", model, batch, length, 1e9 * measured, settings) for batch, measured in sizes.items()]


def _qwen(model: str, sizes: tuple[float, ...], bits: int) -> list[Row]:
    settings = {"rank": 64, "dropout": True, "checkpointing": True, "loss": "full", "autocast": True, "bits": bits}
    lengths = (256, 512, 1024, 2048, 4096, 8192)
    return [
        Row("Qwen", model, 1, length, 1e9 * size, settings, True) for length, size in zip(lengths, sizes, strict=True)
    ]


FOUR = {"bits": 4, "autocast": True}
FUSED = {"loss": "trained", "autocast": True}
ROWS = [
    *_ibm("Mistral-7B", {4: 25653881344, 8: 36643613184}),
    *_ibm("Mistral-7B", {4: 26704571904, 8: 38742912512}),  # with later versions of the libraries
    *_ibm("Mistral-7B", {4: 15323147776, 8: 26312879616}, **FOUR),
    *_ibm("Llama-2-70B", {4: 68126422016}, **FOUR),
    *_ibm("Mixtral-8x7B", {4: 36218023424, 8: 47207755264}, **FOUR),
    *_ibm("PowerLM-3B", {4: 20193463808, 8: 33176473088}, autocast=True),
    *_ibm("PowerLM-3B", {4: 15151677952, 8: 28134687232}, **FOUR),
    *_ibm("Llama-3-8B", {4: 24905936896, 8: 33567698944, 16: 50891223040}, **FUSED),
    *_ibm("Llama-3-8B", {4: 14411297792, 8: 22936744960, 16: 39987639296}, **FUSED, bits=4),
    *_litgpt("phi-1.5", 1044, {1: 4.82, 2: 6.76, 4: 10.68}),
    *_litgpt("StableLM-3B", 1034, {1: 9.69, 2: 12.10, 4: 16.92}),
    *_litgpt("Llama-2-7B", 1304, {1: 21.30, 2: 29.07}),
    *_litgpt("Llama-2-13B", 1304, {1: 38.12}),
    *_litgpt("phi-1.5", 1044, {1: 3.72}, bits=4),
    *_litgpt("StableLM-3B", 1034, {1: 6.19}, bits=4),
    *_litgpt("Llama-2-7B", 1304, {1: 13.84}, bits=4),
    *_litgpt("Llama-2-13B", 1304, {1: 22.55}, bits=4),
    *_qwen("Qwen-1.8B", (6.7, 7.4, 8.4, 11.0, 16.2, 21.8), 16),
    *_qwen("Qwen-7B", (20.1, 20.4, 21.5, 23.8, 29.7, 36.6), 16),
    *_qwen("Qwen-14B", (34.6, 35.1, 35.3, 37.4, 42.5, 55.2), 16),
    *_qwen("Qwen-1.8B", (5.8, 6.0, 6.6, 7.8, 10.2, 15.8), 4),
    *_qwen("Qwen-7B", (11.5, 11.5, 12.3, 13.9, 16.9, 23.5), 4),
    *_qwen("Qwen-14B", (18.7, 18.4, 18.9, 19.9, 23.0, 27.9), 4),
]
