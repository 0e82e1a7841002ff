"""The arithmetic of memory: known parts to the byte, published measurements, and what a level says."""

import statistics
from dataclasses import replace
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.device import GIB, Device
from interfaces.dotted_names import with_changes
from interfaces.presets import PresetConfigs
from studio.models.architecture import Architecture
from studio.models.catalog import BY_ID
from studio.sizing.estimate import (
    PROCESS_BYTES,
    Estimate,
    adapter_bytes,
    estimate,
    optimizer_bytes,
    trained_parameters,
    weights_bytes,
)
from studio.sizing.step_memory import StepSpec, simulate_step
from tests.studio.sizing.published_memory import QKVO, ROWS, SHAPES, Row

CARD = Device("cuda", "a card", 12 * GIB, 12 * GIB, bf16=True)
QWEN = BY_ID["Qwen/Qwen2.5-0.5B-Instruct"].shape


TABLE = QWEN.table_weights / 494_032_768


def config(**settings: Any) -> FineTuneConfig:
    return FineTuneConfig(dataset="x", **{"gradient_checkpointing": False, **settings})


def test_a_model_s_weights_are_two_bytes_each_in_16_bits() -> None:
    assert weights_bytes(QWEN, StepSpec((1,), 1)) == 2 * 494_032_768
    assert weights_bytes(QWEN, StepSpec((1,), 1, width=4)) == 4 * 494_032_768


@pytest.mark.parametrize(
    ("settings", "bytes_of_one"),
    [
        ({}, {"weights": 2, "master_weights": 4, "optimizer": 8}),
        ({"bf16": False}, {"weights": 4, "optimizer": 8}),
        ({"master_weights": False}, {"weights": 2, "optimizer": 4}),
        ({"optim": "adamw_8bit"}, {"weights": 2, "master_weights": 4, "optimizer": 2 + 6 * TABLE}),
        ({"optim": "adamw_8bit", "master_weights": False}, {"weights": 2, "optimizer": 2 + 6 * TABLE}),
        ({"optim": "sgd"}, {"weights": 2, "master_weights": 4, "optimizer": 0}),
        ({"method": "dpo"}, {"weights": 2, "reference": 2, "master_weights": 4, "optimizer": 8}),
    ],
)
def test_full_fine_tuning_holds_so_many_bytes_for_each_weight(
    settings: dict[str, Any], bytes_of_one: dict[str, float]
) -> None:
    """With short rows, so that the gradients of all weights are the peak of a step."""
    found = estimate(QWEN, config(tuning="full", max_length=16, per_device_train_batch_size=1, **settings), CARD)
    fixed = {
        part: found.parts[part]
        for part in ("weights", "reference", "master_weights", "optimizer")
        if part in found.parts
    }
    assert fixed == {part: pytest.approx(size * 494_032_768, rel=1e-6) for part, size in bytes_of_one.items()}
    width, computed = 4 if settings.get("master_weights", True) else 2, 2 if settings.get("bf16", True) else 4
    # The gradients of the head and of the embeddings, which are one table, exist before they are added.
    assert width * 0.99 <= found.parts["gradients"] / 494_032_768 <= width + 2.05 * computed * TABLE
    assert "adapter" not in found.parts
    assert found.disk_bytes > 10 * estimate(QWEN, config(), CARD).disk_bytes


def test_resident_memory_matches_published_figures() -> None:
    """fms-acceleration: memory allocated between steps, Mistral-7B with rank 16 on q, k, v, o. 18 MB of it are not tensors."""
    spec = StepSpec((1,), 1, rank=16, targets=QKVO)
    shape = SHAPES["Mistral-7B"]
    assert trained_parameters(shape, spec) == 13_631_488
    for bits, measured in ((16, 14_664_508_928), (4, 4_306_512_384)):
        quantized = replace(spec, bits=bits)
        held = (
            weights_bytes(shape, quantized)
            + adapter_bytes(shape, spec)
            + optimizer_bytes(shape, spec, FineTuneConfig(optim="adamw_torch"))
        )
        assert abs(held + 17_500_000 - measured) < measured / 1000


def test_estimates_match_published_measurements() -> None:
    errors = [estimated(row) / row.measured - 1 for row in ROWS]
    assert len(errors) >= 60
    assert statistics.median(map(abs, errors)) <= 0.12
    by_source = {
        name: [abs(error) for error, row in zip(errors, ROWS, strict=True) if row.source == name]
        for name in {row.source for row in ROWS}
    }
    assert {name: statistics.median(found) <= 0.12 for name, found in by_source.items()} == dict.fromkeys(
        by_source, True
    )


def estimated(row: Row) -> float:
    shape = SHAPES[row.model]
    spec = StepSpec(lengths=(row.length,) * row.batch, trained=row.length * row.batch, device="cuda", **row.spec)
    held = (
        weights_bytes(shape, spec)
        + adapter_bytes(shape, spec)
        + optimizer_bytes(shape, spec, FineTuneConfig(optim="adamw_torch"))
    )
    return held + simulate_step(shape, spec).peak + (1.1e9 if row.context else 0)


def test_parts_add_up_to_the_peak() -> None:
    found = estimate(QWEN, config(), CARD)
    assert found.total_bytes == sum(found.parts.values()) == found.to_record().total_bytes
    assert found.parts["process"] == PROCESS_BYTES["cuda"]
    assert found.tensor_bytes == found.total_bytes - found.parts["process"] - found.parts["fragmentation"]
    assert found.lengths == (1024,) * 4


@pytest.mark.parametrize(("free", "level"), [(10.0, "fits"), (1.05, "tight"), (0.95, "too_big")])
def test_fit_level_looks_at_what_is_free(free: float, level: str) -> None:
    needed = estimate(QWEN, config(), CARD).total_bytes
    device = replace(CARD, free_memory_bytes=int(needed * free))
    assert estimate(QWEN, config(), device).fit_level == level


def test_calibration_corrects_every_part() -> None:
    plain, corrected = estimate(QWEN, config(), CARD), estimate(QWEN, config(), CARD, correction=1.1)
    assert corrected.total_bytes == pytest.approx(1.1 * plain.total_bytes, rel=1e-6)


def test_a_copy_takes_changes_and_the_original_keeps_its_values() -> None:
    before = config()
    after = with_changes(before, {"max_length": 64, "lora.r": 4})
    assert (after.max_length, after.lora.r, before.max_length, before.lora.r) == (64, 4, 1024, 16)


@pytest.mark.parametrize(
    "optim", ["adamw_torch_fused", "adamw_torch", "adamw_8bit", "paged_adamw_8bit", "sgd", "adafactor"]
)
def test_every_optimizer_is_known(optim: Any) -> None:
    assert estimate(QWEN, config(optim=optim), CARD).parts["optimizer"] >= 0


def test_required_cards_fit_their_presets() -> None:
    """Coder-1.5B fits an RTX 3060 with its own preset; 7B needs 4 bits there, and a 4090 takes it."""
    card = Device("cuda", "RTX 3060", 12 * GIB, 12 * GIB, bf16=True)
    preset = PresetConfigs.rtx_3060()
    assert estimate(BY_ID[preset.model_name].shape, preset, card).fit_level == "fits"
    seven: Architecture = BY_ID["Qwen/Qwen2.5-7B-Instruct"].shape
    big = with_changes(preset, {"load_in_8bit": False})
    assert estimate(seven, big, card).fit_level == "too_big"
    assert estimate(seven, big, Device("cuda", "RTX 4090", 24 * GIB, 24 * GIB, bf16=True)).fit_level == "fits"


def test_an_estimate_is_a_value() -> None:
    found = estimate(QWEN, config(), CARD)
    assert isinstance(found, Estimate)
    assert found == estimate(QWEN, config(), CARD)


@pytest.mark.parametrize("names", [["c_attn"], ["qkv_proj"], ["query_key_value"], ["q_proj", "k_proj", "v_proj"]])
def test_a_family_s_own_names_of_matrices_are_known(names: list[str]) -> None:
    with_lora = config(lora={"target_modules": names})
    assert (
        estimate(QWEN, with_lora, CARD).parts["adapter"]
        == estimate(QWEN, config(lora={"target_modules": ["q_proj", "k_proj", "v_proj"]}), CARD).parts["adapter"]
    )


def test_unknown_module_name_counts_as_all() -> None:
    assert (
        estimate(QWEN, config(lora={"target_modules": ["mystery"]}), CARD).parts["adapter"]
        == estimate(QWEN, config(), CARD).parts["adapter"]
    )


def test_other_ranks_of_some_layers_count() -> None:
    def adapter(**lora: Any) -> int:
        return estimate(QWEN, config(lora=lora), CARD).parts["adapter"]

    only_down = {"target_modules": ["down_proj"]}
    assert adapter(**only_down, rank_pattern={"down_proj": 64}) == adapter(**only_down, r=64)
    assert adapter() < adapter(rank_pattern={"gate_up_proj": 32}) < adapter(r=32)
    assert adapter(rank_pattern={"layers.3.mlp.down_proj": 64}) == adapter()


@pytest.mark.parametrize("names", [["embed_tokens"], ["lm_head"], ["model.embed_tokens", "lm_head"]])
def test_a_table_trained_beside_the_adapter_counts_once_if_it_is_tied(names: list[str]) -> None:
    plain, saved = (estimate(QWEN, config(lora={"modules_to_save": found}), CARD) for found in ([], names))
    table = QWEN.table_weights
    assert saved.parts["adapter"] - plain.parts["adapter"] == 2 * table
    assert saved.parts["master_weights"] == 4 * table
    assert saved.parts["optimizer"] - plain.parts["optimizer"] == 8 * table
    assert saved.parts["gradients"] - plain.parts.get("gradients", 0) >= 4 * table
    untied = replace(QWEN, tied=False)
    count = len(names)
    assert estimate(untied, config(lora={"modules_to_save": names}), CARD).parts["master_weights"] == 4 * table * count


def test_layers_below_the_lowest_adapter_need_no_activations() -> None:
    whole, upper = (estimate(QWEN, config(lora={"layers_to_transform": layers}), CARD) for layers in ([], "12-23"))
    assert upper.parts["adapter"] * 2 == whole.parts["adapter"]
    assert 0.45 < upper.parts["activations"] / whole.parts["activations"] < 0.6


def test_first_weights_from_the_model_are_kept_beside_the_adapter_and_stored_with_twice_the_rank() -> None:
    plain, taken = (estimate(QWEN, config(lora={"init_lora_weights": kind}), CARD) for kind in ("default", "pissa"))
    assert taken.parts["adapter"] == 2 * plain.parts["adapter"]
    assert taken.disk_bytes * 12 == plain.disk_bytes * 16
    assert estimate(QWEN, config(lora={"init_lora_weights": "eva"}), CARD).parts == plain.parts
