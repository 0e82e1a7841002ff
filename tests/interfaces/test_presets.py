import pytest
from pydantic import ValidationError

from interfaces import Device, PresetConfigs
from interfaces.device import GIB
from interfaces.presets import PRESETS
from interfaces.validation import config_problems


def card(gib: float) -> Device:
    return Device("cuda", "a card", int(gib * GIB), int(gib * GIB))


def test_rtx_3060_preset_matches_requirements_and_is_editable() -> None:
    config = PresetConfigs.rtx_3060()
    assert config.model_name == "Qwen/Qwen2.5-Coder-1.5B-Instruct"
    assert config.load_in_8bit is True
    assert config.max_length == 1024
    assert config.per_device_train_batch_size == 1
    assert config.gradient_accumulation_steps == 16
    assert config.gradient_checkpointing is True
    config.model_name = "Qwen/Qwen2.5-0.5B-Instruct"
    config.load_in_8bit = False
    config.max_length = 512
    config.per_device_train_batch_size = 2
    config.gradient_accumulation_steps = 8
    config.gradient_checkpointing = False
    with pytest.raises(ValidationError):
        config.per_device_train_batch_size = 0


def test_there_are_five_presets_and_each_can_train() -> None:
    assert list(PRESETS) == ["rtx_3060", "rtx_4090", "a100", "minimal", "laptop_cpu"]
    for make in PRESETS.values():
        assert config_problems({**make().model_dump(), "dataset": "rows.jsonl"}) == []


def test_each_call_gives_a_fresh_config() -> None:
    PresetConfigs.minimal().lora.r = 99
    assert PresetConfigs.minimal().lora.r == 4


# The totals that cards of 6, 8, 12, 24, 40 and 80 GB really report lie a little below their names.
@pytest.mark.parametrize(
    ("gib", "name"),
    [
        (5.8, "minimal"),
        (7.7, "minimal"),
        (11.8, "rtx_3060"),
        (15.7, "rtx_3060"),
        (23.6, "rtx_4090"),
        (39.4, "a100"),
        (79.1, "a100"),
    ],
)
def test_card_gets_the_preset_of_its_class(gib: float, name: str) -> None:
    assert PresetConfigs.name_for_device(card(gib)) == name
    assert PresetConfigs.for_device(card(gib)) == PRESETS[name]()


def test_without_a_card_nothing_is_quantized() -> None:
    config = PresetConfigs.for_device(Device("cpu", "a laptop", 16 * GIB, 8 * GIB))
    assert (config.model_name, config.load_in_8bit, config.load_in_4bit) == ("starter", False, False)
