from dataclasses import replace
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.device import GIB, Device
from interfaces.dotted_names import with_changes
from interfaces.lora_settings import LoraSettings
from studio.models.catalog import BY_ID
from studio.sizing.batch_lengths import Lengths
from studio.sizing.estimate import estimate
from studio.sizing.fitting import make_it_fit, resolve_checkpointing, savings

SHAPE = BY_ID["Qwen/Qwen2.5-1.5B-Instruct"].shape


def config(**settings: Any) -> FineTuneConfig:
    return FineTuneConfig(
        dataset="x",
        **{"max_length": 2048, "per_device_train_batch_size": 8, "gradient_checkpointing": False, **settings},
    )


def card(gigabytes: float) -> Device:
    return Device("cuda", "a card", int(gigabytes * GIB), int(gigabytes * GIB), bf16=True)


def test_what_fits_needs_no_change() -> None:
    assert make_it_fit(SHAPE, config(), card(400)) is None


def test_mildest_change_comes_first_and_preserves_training() -> None:
    fit = make_it_fit(SHAPE, config(), card(24))
    assert fit is not None
    assert fit.changes == {"gradient_checkpointing": True}
    assert fit.costs == ("recompute",)


def test_full_fine_tuning_is_never_quantized() -> None:
    """Its optimizer is, before the last way out, an adapter."""
    full = config(tuning="full", gradient_checkpointing=True, per_device_train_batch_size=1)
    adapter = {"tuning": "lora", "learning_rate": 2e-3}
    for gigabytes, changes in (
        (30, {"optim": "adamw_8bit"}),
        (8, adapter),
        (3, {**adapter, "load_in_8bit": False, "load_in_4bit": True}),
    ):
        fit = make_it_fit(SHAPE, full, card(gigabytes))
        assert fit is not None
        assert fit.changes == changes


def test_an_update_sees_as_many_rows_as_before() -> None:
    fit = make_it_fit(SHAPE, config(gradient_checkpointing=True), card(8))
    assert fit is not None
    changed = with_changes(config(gradient_checkpointing=True), fit.changes)
    assert changed.per_device_train_batch_size * changed.gradient_accumulation_steps == 8 * 4
    assert set(fit.costs) == {"smaller_batch"}


@pytest.mark.parametrize("gigabytes", [3, 4, 6, 8, 12, 16])
def test_suggested_change_fits_by_the_same_estimate(gigabytes: float) -> None:
    fit = make_it_fit(SHAPE, config(), card(gigabytes))
    assert fit is not None
    assert (
        estimate(SHAPE, with_changes(config(), fit.changes), card(gigabytes)).fit_level
        == "fits"
        == fit.estimate.fit_level
    )
    FineTuneConfig.model_validate(with_changes(config(), fit.changes).model_dump())


def test_update_never_needs_more_rows_than_exist() -> None:
    """100 rows at once, 4 times, of a file with 75: in turns of one that would be 400 turns, 3 steps in all."""
    asked = config(per_device_train_batch_size=100, gradient_accumulation_steps=4, gradient_checkpointing=True)
    few = Lengths((1500,), (75,))
    fit = make_it_fit(SHAPE, asked, card(6), few)
    assert fit is not None
    changed = with_changes(asked, fit.changes)
    assert changed.per_device_train_batch_size * changed.gradient_accumulation_steps <= 75


def test_smaller_rank_keeps_alpha_over_rank() -> None:
    for one in savings(SHAPE, config(lora=LoraSettings(r=64, lora_alpha=16)), card(24)):
        if "smaller_rank" in one.costs:
            assert one.changes["lora.lora_alpha"] / one.changes["lora.r"] == 16 / 64
            break
    else:
        pytest.fail("a smaller rank saves memory")


def test_shorter_rows_are_the_last_resort() -> None:
    assert "shorter_rows" not in make_it_fit(SHAPE, config(), card(4)).costs  # type: ignore[union-attr]


def test_no_suggestion_if_nothing_fits() -> None:
    assert make_it_fit(BY_ID["Qwen/Qwen2.5-7B-Instruct"].shape, config(), card(2)) is None


def test_no_quantization_on_unsupported_devices() -> None:
    apple = replace(card(6), kind="mps")
    fit = make_it_fit(SHAPE, config(), apple)
    assert fit is None or not any(name.startswith("load_in") for name in fit.changes)


def test_checkpointing_is_decided_by_need() -> None:
    asked = config(gradient_checkpointing="auto")
    assert resolve_checkpointing(SHAPE, asked, card(400)).gradient_checkpointing is False
    assert resolve_checkpointing(SHAPE, asked, card(16)).gradient_checkpointing is True
    assert asked.gradient_checkpointing == "auto"
    for chosen in (True, False):
        assert (
            resolve_checkpointing(SHAPE, config(gradient_checkpointing=chosen), card(16)).gradient_checkpointing
            is chosen
        )


def test_savings_are_single_changes_that_save_largest_first() -> None:
    asked = config(gradient_checkpointing=True)
    now = estimate(SHAPE, asked, card(24)).total_bytes
    found = savings(SHAPE, asked, card(24))
    totals = [fit.estimate.total_bytes for fit in found]
    assert totals == sorted(totals)
    assert max(totals) < now
    assert {cost for fit in found for cost in fit.costs} >= {"smaller_batch", "bits_4", "shorter_rows"}


def test_a_pack_s_budget_shrinks_with_the_batch() -> None:
    packed = config(packing=True, max_tokens_per_batch=16384, gradient_checkpointing=True)
    fit = make_it_fit(SHAPE, packed, card(8))
    assert fit is not None
    assert fit.changes["max_tokens_per_batch"] < 16384


def test_cpu_fit_avoids_quantization_and_finds_others() -> None:
    """The file of the weights stays in memory beside what is quantized: 7B in 16 bits needs less than in 4."""
    shape = BY_ID["Qwen/Qwen2.5-7B-Instruct"].shape
    machine = Device("cpu", "a processor", 24 * GIB, 22_000_000_000, bf16=True)
    fit = make_it_fit(shape, config(max_length=8192, per_device_train_batch_size=4), machine)
    assert fit is not None
    assert not any(name.startswith("load_in") for name in fit.changes)


def test_a_batch_is_never_smaller_than_its_method_needs() -> None:
    asked = FineTuneConfig(dataset="x", method="kto", per_device_train_batch_size=8)
    for one in savings(SHAPE, asked, card(24)):
        assert one.changes.get("per_device_train_batch_size", 8) >= 2  # type: ignore[operator]
