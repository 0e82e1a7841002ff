"""The type of each tensor, by the rules of llama.cpp's mixes."""

from __future__ import annotations

import pytest
from gguf import GGMLQuantizationType as Type

from trainer.artifacts.gguf_types import type_of

pytestmark = pytest.mark.tiny
SQUARE = (256, 256)


@pytest.mark.parametrize("kind", ["f16", "q8_0", "q4_0", "q4_k_m"])
def test_vectors_and_norms_stay_in_fp32(kind: str) -> None:
    assert type_of("blk.0.attn_q.bias", (256,), kind, 2, False) == (Type.F32, False)
    assert type_of("blk.0.attn_norm.weight", (256,), kind, 2, False) == (Type.F32, False)
    assert type_of("output_norm.weight", (256,), kind, 2, False) == (Type.F32, False)


@pytest.mark.parametrize(
    ("name", "kind", "tied", "wanted"),
    [
        ("blk.3.ffn_up.weight", "q4_k_m", False, Type.Q4_K),
        ("token_embd.weight", "q4_k_m", False, Type.Q4_K),
        ("token_embd.weight", "q4_k_m", True, Type.Q6_K),
        ("output.weight", "q5_k_m", False, Type.Q6_K),
        ("blk.3.ffn_up.weight", "q5_k_m", False, Type.Q5_K),
        ("blk.3.ffn_up.weight", "q6_k", False, Type.Q6_K),
        ("token_embd.weight", "q4_0", False, Type.Q8_0),
        ("blk.3.ffn_up.weight", "q4_0", False, Type.Q4_0),
    ],
)
def test_what_costs_most_keeps_more_bits(name: str, kind: str, tied: bool, wanted: Type) -> None:
    assert type_of(name, SQUARE, kind, 24, tied) == (wanted, False)


def test_some_layers_keep_more_bits() -> None:
    """The first and the last eighth of 24 layers, and every third between."""
    more = [layer for layer in range(24) if type_of(f"blk.{layer}.ffn_down.weight", SQUARE, "q4_k_m", 24, False)[0] is Type.Q6_K]  # fmt: skip
    assert more == [0, 1, 2, 5, 8, 11, 14, 17, 20, 21, 22, 23]


@pytest.mark.parametrize(
    ("kind", "length", "wanted"),
    [("q4_k_m", 96, Type.Q5_0), ("q5_k_m", 96, Type.Q5_1), ("q6_k", 96, Type.Q8_0), ("q4_k_m", 40, Type.F16), ("q8_0", 40, Type.F16)],
)  # fmt: skip
def test_rows_that_do_not_divide_have_a_substitute(kind: str, length: int, wanted: Type) -> None:
    assert type_of("blk.4.ffn_up.weight", (64, length), kind, 24, False) == (wanted, True)
