"""Presets for kinds of machines. The first four use the values from the requirements; every field can be changed."""

from __future__ import annotations

from collections.abc import Callable

from interfaces.config import STARTER, FineTuneConfig
from interfaces.device import Device
from interfaces.lora_settings import LoraSettings


class PresetConfigs:
    """Each method returns a new `FineTuneConfig`, whose fields can be changed."""

    @staticmethod
    def rtx_3060() -> FineTuneConfig:
        """A 12 GB card: Qwen2.5-Coder-1.5B in 8 bits, length 1024, batch 1 x 16, checkpointing."""
        return FineTuneConfig(
            model_name="Qwen/Qwen2.5-Coder-1.5B-Instruct",
            load_in_8bit=True,
            max_length=1024,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=16,
            gradient_checkpointing=True,
        )

    @staticmethod
    def rtx_4090() -> FineTuneConfig:
        """A 24 GB card: fp16, not quantized, length 2048, batch 4 x 4."""
        return FineTuneConfig(
            bf16=False,
            fp16=True,
            max_length=2048,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=4,
            gradient_checkpointing=True,
        )

    @staticmethod
    def a100() -> FineTuneConfig:
        """A 40 or 80 GB card: bf16, not quantized, length 4096, batch 8 x 2."""
        return FineTuneConfig(
            bf16=True,
            max_length=4096,
            per_device_train_batch_size=8,
            gradient_accumulation_steps=2,
            gradient_checkpointing=True,
        )

    @staticmethod
    def minimal() -> FineTuneConfig:
        """A card under 8 GB: 4 bits, fp16, length 512, batch 1 x 32, LoRA 4/8."""
        return FineTuneConfig(
            model_name="Qwen/Qwen2.5-0.5B-Instruct",
            load_in_4bit=True,
            bf16=False,
            fp16=True,
            max_length=512,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=32,
            gradient_checkpointing=True,
            lora=LoraSettings(r=4, lora_alpha=8),
        )

    @staticmethod
    def laptop_cpu() -> FineTuneConfig:
        """No GPU: the starter, not quantized (8 bits save little and cost time on a CPU), batch 4 x 1."""
        return FineTuneConfig(
            model_name=STARTER,
            max_length=512,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=1,
            learning_rate=5e-4,
        )

    @classmethod
    def name_for_device(cls, device: Device) -> str:
        """Return the name of the preset for `device`, by total memory.

        A nominal 12 or 24 GB card reports a little less, so each threshold is well below the nominal size.
        """
        if device.kind != "cuda":
            return "laptop_cpu"
        if device.total_gib >= 36:
            return "a100"
        if device.total_gib >= 22:
            return "rtx_4090"
        return "rtx_3060" if device.total_gib >= 9 else "minimal"

    @classmethod
    def for_device(cls, device: Device) -> FineTuneConfig:
        """Return the preset for `device`. This function is pure."""
        return PRESETS[cls.name_for_device(device)]()


PRESETS: dict[str, Callable[[], FineTuneConfig]] = {
    "rtx_3060": PresetConfigs.rtx_3060,
    "rtx_4090": PresetConfigs.rtx_4090,
    "a100": PresetConfigs.a100,
    "minimal": PresetConfigs.minimal,
    "laptop_cpu": PresetConfigs.laptop_cpu,
}
