"""Which type each tensor of a GGUF file has: vectors and norms stay in f32, and what costs most keeps more bits.

The mixes of k-quants follow the rules of llama.cpp's `llama_tensor_get_type` for models with less than 70B parameters.
"""

from __future__ import annotations

import re

import gguf
from gguf import GGMLQuantizationType as Type

PLAIN = {"f32": Type.F32, "f16": Type.F16, "bf16": Type.BF16, "q8_0": Type.Q8_0, "q4_0": Type.Q4_0}
MIXES = {"q4_k_m": (Type.Q4_K, Type.Q6_K), "q5_k_m": (Type.Q5_K, Type.Q6_K), "q6_k": (Type.Q6_K, Type.Q6_K)}
"""The usual type, and that of the head and of some value and down projections."""
FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32, "q8_0": 7, "q4_0": 2, "q4_k_m": 15, "q5_k_m": 17, "q6_k": 18}
"""llama.cpp's `llama_ftype`."""
_SMALLER = {Type.Q4_K: Type.Q5_0, Type.Q5_K: Type.Q5_1, Type.Q6_K: Type.Q8_0}
"""Types in blocks of 32 for rows that don't divide into blocks of 256."""
_SOME = re.compile(r"blk\.(\d+)\.(attn_v|ffn_down)\.weight")


def type_of(name: str, shape: tuple[int, ...], kind: str, layers: int, tied: bool) -> tuple[Type, bool]:
    """Return a tensor's type, and whether it is a substitute because its rows don't divide into blocks.

    `name` is llama.cpp's; with `tied`, the embeddings are the head too.
    """
    wanted = _wanted(name, shape, kind, layers, tied)
    if _divides(shape, wanted):
        return wanted, False
    smaller = _SMALLER.get(wanted, Type.F16)
    return (smaller if _divides(shape, smaller) else Type.F16), True


def _wanted(name: str, shape: tuple[int, ...], kind: str, layers: int, tied: bool) -> Type:
    if len(shape) <= 1 or name.endswith("_norm.weight"):
        return Type.F32
    if kind in MIXES:
        usual, better = MIXES[kind]
        some = _SOME.fullmatch(name)
        is_head = name == ("token_embd.weight" if tied else "output.weight")
        return better if is_head or (some and _has_more_bits(int(some[1]), layers)) else usual
    if kind == "q4_0" and name in ("token_embd.weight", "output.weight"):
        return Type.Q8_0
    return PLAIN[kind]


def _has_more_bits(layer: int, layers: int) -> bool:
    """Return whether a layer is among the first or last eighth, or every third between them (`use_more_bits`)."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _divides(shape: tuple[int, ...], kind: Type) -> bool:
    return bool(shape[-1] % gguf.GGML_QUANT_SIZES[kind][0] == 0)
