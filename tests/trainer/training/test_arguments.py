"""Every setting of training reaches transformers."""

from pathlib import Path
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.folders import RunFolder

pytestmark = pytest.mark.tiny

# Settings that are no argument of the Trainer: they act elsewhere, and tests of that place say so.
ELSEWHERE = {
    "schema_version", "name", "output_dir", "model_name", "model_revision", "load_in_8bit", "load_in_4bit", "dataset",
    "validation_split", "max_length", "sample_prompts", "sample_while_training", "sample_max_new_tokens", "lora", "bf16", "cpu_threads",
    "early_stopping_patience", "save_minutes", "save_total_limit", "columns", "bad_rows", "validation_dataset", "long_rows",
    "packing", "max_tokens_per_batch", "device", "adapter_name_or_path", "load_best_model_at_end",
    "evaluation_dataset", "gate", "method", "sft", "dpo", "orpo", "kto", "reward", "assistant_only_loss",
    "train_on_reasoning", "tuning", "master_weights", "embedding_learning_rate",
}  # fmt: skip
CHANGED: dict[str, Any] = {
    "num_train_epochs": 5.0, "max_steps": 7, "per_device_train_batch_size": 3, "gradient_accumulation_steps": 9,
    "learning_rate": 0.5, "lr_scheduler_type": "cosine", "warmup_steps": 6, "optim": "adamw_torch", "weight_decay": 0.25,
    "max_grad_norm": 0.75, "neftune_noise_alpha": 5.0, "seed": 11, "fp16": True, "logging_steps": 13, "eval_steps": 17,
    "save_steps": 19,
}  # fmt: skip


def arguments(**settings: Any) -> Any:
    import torch

    from trainer.models.device import Compute
    from trainer.training.arguments import training_arguments

    config = FineTuneConfig(dataset="x", **settings)
    return training_arguments(
        config, RunFolder(Path("/run")), Compute(torch.device("cpu"), torch.float32, 1), evaluates=True
    )


def test_every_setting_is_known_here() -> None:
    assert set(FineTuneConfig.model_fields) == ELSEWHERE | set(CHANGED) | {"gradient_checkpointing"}


def test_every_lora_setting_arrives_in_peft(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    from interfaces.lora_settings import LoraSettings
    from trainer.artifacts.adapter import add_adapter
    from trainer.models.model_files import ModelFiles

    changed: dict[str, Any] = {
        "r": 3, "lora_alpha": 5, "lora_dropout": 0.25, "target_modules": ["q_proj"], "use_rslora": True, "use_dora": True,
        "rank_pattern": {"q_proj": 9}, "alpha_pattern": {"q_proj": 2.0}, "layers_to_transform": [1],
    }  # fmt: skip
    changed["modules_to_save"] = ["lm_head"]
    # Of get_peft_model, the optimizer, and what comes after both: tests of those.
    elsewhere = {"autocast_adapter_dtype", "loraplus_lr_ratio", "init_lora_weights"}
    assert set(LoraSettings.model_fields) == set(changed) | elsewhere
    config = FineTuneConfig(dataset="x", lora=LoraSettings(**changed))
    model = add_adapter(AutoModelForCausalLM.from_pretrained(tiny_model), config, ModelFiles(tiny_model, "tiny", None))
    made = model.peft_config["default"]
    assert {name: getattr(made, name) for name in changed} == {
        **changed, "target_modules": {"q_proj"}, "modules_to_save": ["model.embed_tokens"],  # PEFT's name of both
    }  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_each_setting_arrives_under_its_own_name(name: str) -> None:
    assert getattr(arguments(**{name: CHANGED[name]}), name) == CHANGED[name] != getattr(arguments(), name)


def test_checkpointing_is_the_kind_that_works_with_lora() -> None:
    made = arguments(gradient_checkpointing=True)
    assert made.activation_checkpointing is True
    assert made.activation_checkpointing_kwargs == {"use_reentrant": False}


def test_unsafe_trainer_options_are_off() -> None:
    made = arguments()
    assert made.logging_nan_inf_filter is False
    assert made.save_total_limit is None
    assert made.report_to == []
    assert not made.push_to_hub
    assert Path(made.output_dir) == Path("/run/staging")


def test_zero_disables_a_setting() -> None:
    made = arguments(eval_steps=0, save_steps=0)
    assert made.eval_strategy == "no"
    assert made.save_steps > 10**8
