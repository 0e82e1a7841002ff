"""LoRA goes into the model, and comes out as a folder that plain PEFT loads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interfaces.config import FineTuneConfig
from interfaces.problems import Code, FineTuneError
from trainer.low_rank import use_low_rank_products
from trainer.model_card import model_card
from trainer.model_files import ModelFiles


def add_adapter(model: PreTrainedModel, config: FineTuneConfig, files: ModelFiles) -> PeftModel:
    """The model with a fresh adapter: only the adapter can be trained from here on.

    Not by `prepare_model_for_kbit_training`: it casts the head and all that isn't quantised to fp32,
    which doubled the memory of a 1.5B model.

    Raises:
        FineTuneError: `lora.target_modules` names layers that the model doesn't have.
    """
    model.requires_grad_(False)
    if config.gradient_checkpointing:
        # Recomputed segments need an input that asks for gradients; the frozen embedding's doesn't.
        model.enable_input_require_grads()
    lora = config.lora
    settings = LoraConfig(
        task_type="CAUSAL_LM", r=lora.r, lora_alpha=lora.lora_alpha, lora_dropout=lora.lora_dropout,
        target_modules=lora.target_modules, use_rslora=lora.use_rslora, use_dora=lora.use_dora,
        revision=files.revision,
    )  # fmt: skip
    _check_targets(model, lora.target_modules)
    torch.manual_seed(config.seed)  # the adapter's first weights do not depend on what was loaded before
    adapted = get_peft_model(model, settings, autocast_adapter_dtype=lora.autocast_adapter_dtype)
    use_low_rank_products(adapted)
    # Each save looks the base's config up by this name: as a path it never asks the network.
    adapted.peft_config["default"].base_model_name_or_path = str(files.path)
    return adapted


def _check_targets(model: PreTrainedModel, targets: str | list[str]) -> None:
    if isinstance(targets, str):
        return
    linear = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if hasattr(module, "in_features")}
    names = {name for name, _ in model.named_modules()}
    missing = [target for target in targets if not any(name == target or name.endswith(f".{target}") for name in names)]
    if missing:
        raise FineTuneError.of(Code.TARGET_MODULES_MISSING, value=missing, known=sorted(linear - {"lm_head"}))


def save_adapter(
    model: PeftModel, tokenizer: PreTrainedTokenizerBase, folder: Path, config: FineTuneConfig, facts: dict[str, Any]
) -> None:
    """Adapter, tokenizer and model card into `folder`, which must not be there yet: whole or not at all."""
    staging = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(staging, ignore_errors=True)
    # What leaves this machine names its base as another machine would.
    model.peft_config["default"].base_model_name_or_path = facts["base"]
    model.save_pretrained(staging, safe_serialization=True, save_embedding_layers=False)
    tokenizer.save_pretrained(staging)
    (staging / "README.md").write_text(model_card(config, facts), encoding="utf-8")
    staging.rename(folder)
