"""A step played through as numbers. How near it is to torch's own count is shown by bench/estimate.py and `test_step_memory`."""

from dataclasses import replace
from typing import Any

import pytest

from studio.models.architecture import Architecture
from studio.sizing.step_memory import Ledger, StepSpec, simulate_step

SHAPE = Architecture("qwen2", 896, 4864, 24, 14, 2, 64, 151936, 32768, qkv_bias=True)
WAY = StepSpec(lengths=(512,) * 4, trained=2000, loss="full")


def peak(**changes: Any) -> int:
    return simulate_step(SHAPE, replace(WAY, **changes)).peak


def test_ledger_keeps_parts_at_peak() -> None:
    ledger = Ledger()
    ledger.take("a", 5, 5)
    ledger.touch("b", 7)
    ledger.give("a", 10)
    ledger.take("c", 3)
    assert (ledger.held, ledger.peak, dict(ledger.at_peak)) == (3, 17, {"a": 10, "b": 7})


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("loss", ["trained", "full"])
def test_layer_releases_all_it_allocates(checkpointing: bool, bits: Any, loss: Any) -> None:
    """What is left: rotary tables, the embeddings, gradients; and the inputs that 8-bit products hold past every hook."""
    spec = replace(WAY, checkpointing=checkpointing, bits=bits, loss=loss)
    one, more = (simulate_step(replace(SHAPE, layers=layers), spec) for layers in (2, 24))
    held = spec.tokens * spec.width * (2 * 896 + 896 + 4864) if bits == 8 and checkpointing else 0
    assert more.now["activations"] - one.now["activations"] == 22 * held
    assert more.now["attention"] == more.now["logits"] == more.now["dequantized"] == 0


def test_every_saving_saves() -> None:
    assert peak(checkpointing=True) < peak()
    assert peak(loss="trained") < peak()
    assert peak(lengths=(512,) * 2, trained=1000) < peak()
    assert peak(dropout=True) > peak()
    assert peak(width=4) > peak()
    assert peak(attention="eager") > peak()
    assert peak(rank=64) > peak()
    assert peak(targets=frozenset({"q_proj"})) < peak()


def test_full_logits_cost_twelve_bytes_per_token_and_vocabulary_entry() -> None:
    """log-softmax and two gradients in 32 bits: why Qwen's 152k words hurt where others keep the full table."""
    ledger = simulate_step(SHAPE, replace(WAY, checkpointing=True))
    assert ledger.at_peak["logits"] == 12 * 2048 * 151936


def test_a_head_that_scores_has_no_logits() -> None:
    assert peak(trained=0) < peak() - 8 * 2000 * SHAPE.vocabulary


def test_the_head_on_trained_positions_never_holds_more_than_a_chunk() -> None:
    ledger = simulate_step(SHAPE, replace(WAY, loss="trained", checkpointing=True))
    assert ledger.at_peak["logits"] < 80_000_000


def test_recomputing_keeps_one_input_per_layer() -> None:
    long, short = (
        simulate_step(replace(SHAPE, layers=layers), replace(WAY, checkpointing=True, loss="trained", adapter_width=2))
        for layers in (24, 23)
    )
    row = 2048 * 896 * 2
    assert row <= long.peak - short.peak <= 1.5 * row
