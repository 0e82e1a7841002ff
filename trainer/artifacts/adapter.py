"""Adds LoRA to a model, new or as another run has trained it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel

from interfaces.config import FineTuneConfig, method_of
from interfaces.errors import FineTuneError
from interfaces.files import publish
from interfaces.folders import Home
from interfaces.problems import Code
from interfaces.run_records import is_whole_model
from trainer.artifacts.checkpoints import newest_checkpoint
from trainer.artifacts.stored_weights import ADAPTER_CONFIG, ADAPTER_WEIGHTS, CHANGE_THE_BASE
from trainer.kernels.lora_linear import use_lora_linear
from trainer.models.model_files import ModelFiles
from trainer.models.scorer import HEAD

_PLAIN_NAME = re.compile(r"[\w.]+")
ADAPTER_FILES = (ADAPTER_CONFIG, ADAPTER_WEIGHTS)


def add_adapter(
    model: PreTrainedModel, config: FineTuneConfig, files: ModelFiles, first: Path | None = None
) -> PeftModel:
    """Add a new adapter, or the one in the folder `first`, and freeze everything else.

    This doesn't use `prepare_model_for_kbit_training`, which casts the head and all other unquantized weights
    to fp32; that doubled the memory of a 1.5B model.

    Raises:
        FineTuneError: `lora.target_modules` names layers that the model doesn't have, or `first` doesn't fit it.
    """
    model.requires_grad_(False)
    if config.gradient_checkpointing is True:
        # Recomputed segments need an input that requires gradients, which the frozen embedding's output doesn't.
        model.enable_input_require_grads()
    lora = config.lora
    targets = "all-linear" if lora.target_modules == ["all-linear"] else lora.target_modules
    settings = LoraConfig(
        r=lora.r, lora_alpha=lora.lora_alpha, lora_dropout=lora.lora_dropout,
        target_modules=targets if not lora.layers_to_transform else _linear_names(model, targets),
        layers_to_transform=lora.layers_to_transform or None, rank_pattern=dict(lora.rank_pattern),
        alpha_pattern=dict(lora.alpha_pattern), modules_to_save=list(lora.modules_to_save) or None,
        ensure_weight_tying=bool(lora.modules_to_save) and is_tied(model), use_rslora=lora.use_rslora, use_dora=lora.use_dora,
        revision=files.revision,
    )  # fmt: skip
    if first is None:
        _check_targets(model, targets)
        _check_layers(model, lora.layers_to_transform)
        _check_targets(model, lora.modules_to_save)
    else:
        settings = settings_of(first, config.adapter_name_or_path, lora.lora_dropout, files.revision)
    settings.task_type = (
        "CAUSAL_LM" if method_of(config).generates else "SEQ_CLS"
    )  # which trains the head of scores, too
    torch.manual_seed(config.seed)  # the adapter's initial weights must not depend on what was loaded before
    try:
        adapted = get_peft_model(model, settings, autocast_adapter_dtype=lora.autocast_adapter_dtype)
        if first is not None:
            _load_weights(adapted, first, config.adapter_name_or_path)
    except (RuntimeError, ValueError) as error:
        if first is None:
            raise
        raise unusable(config.adapter_name_or_path, "other_base", config.model_name) from error
    if first is None:
        _check_patterns(adapted, [*lora.rank_pattern, *lora.alpha_pattern])
    use_lora_linear(adapted)
    # Each save looks up the base's config by this name. A path avoids the network.
    adapted.peft_config["default"].base_model_name_or_path = str(files.path)
    return adapted


def find_adapter(value: str, home: Home) -> Path:
    """Find an adapter's folder by path or by run. A run without an adapter uses its newest valid checkpoint.

    Raises:
        FineTuneError: there is no adapter, or it can't be trained further.
    """
    run = home.run(value)
    folder = Path(value).expanduser().absolute()
    if "/" not in value and run.config.is_file():
        step = None if run.result.is_dir() else newest_checkpoint(run)[0]
        folder = run.checkpoint(step) if step is not None else run.result
    if is_whole_model(folder):
        raise unusable(value, "is_whole_model", str(folder))
    missing = [name for name in ADAPTER_FILES if not (folder / name).is_file()]
    if missing:
        raise unusable(value, "file_not_there", str(folder / missing[0]))
    settings_of(folder, value)
    return folder


def copy_adapter(source: Path, target: Path) -> None:
    """Copy the two files of an adapter atomically, so that a run doesn't depend on the run it starts from."""
    staging = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    for name in ADAPTER_FILES:
        shutil.copyfile(source / name, staging / name)
    publish(staging, target)


def settings_of(folder: Path, value: str, lora_dropout: float = 0.0, revision: str | None = None) -> LoraConfig:
    """Return the LoRA settings of a stored adapter, ready for training. `value` is the user's name for it.

    Raises:
        FineTuneError: the adapter isn't LoRA, or it also contains fully trained layers.
    """
    try:
        settings = PeftConfig.from_pretrained(str(folder))
    except (TypeError, ValueError, KeyError) as error:
        raise unusable(value, "no_peft", ADAPTER_FILES[0]) from error
    if not isinstance(settings, LoraConfig):
        raise unusable(value, "no_lora", str(settings.peft_type).removeprefix("PeftType."))
    if settings.modules_to_save:
        raise unusable(value, "whole_layers", ", ".join(settings.modules_to_save))
    if str(settings.init_lora_weights).startswith(CHANGE_THE_BASE):
        raise unusable(value, "changes_base", str(settings.init_lora_weights))
    if getattr(settings, "alora_invocation_tokens", None):
        raise unusable(value, "activated_lora")
    for name in ("target_modules", "exclude_modules"):
        value_of = getattr(settings, name, None)
        if isinstance(value_of, str) and value_of != "all-linear":
            raise unusable(value, "setting_is_regex", name)
    for name in ("rank_pattern", "alpha_pattern"):
        if odd := [key for key in getattr(settings, name, None) or {} if not _PLAIN_NAME.fullmatch(key)]:
            raise unusable(value, "setting_holds_regex", f"{name} ({odd[0][:40]})")
    settings.inference_mode, settings.lora_dropout, settings.revision = False, lora_dropout, revision
    settings.init_lora_weights = True  # the weights are loaded, so no initialization is needed
    return settings


def unusable(value: str, reason: str, seen: str = "") -> FineTuneError:
    """Return the error for an adapter that training can't start from."""
    return FineTuneError.of(Code.ADAPTER_UNUSABLE, value=value, reason=reason, seen=seen)


def _load_weights(model: PeftModel, folder: Path, value: str) -> None:
    """
    Raises:
        RuntimeError: the weights have other layers or sizes.
    """
    try:
        weights = load_file(folder / ADAPTER_FILES[1])
    except SafetensorError as error:
        raise unusable(value, "file_damaged", ADAPTER_FILES[1]) from error
    known = ("lora_", "modules_to_save", "trainable_tokens")
    if whole := [name for name in weights if not any(part in name for part in known) and not name.endswith(".bias")]:
        raise unusable(value, "holds_whole_layers", whole[0])
    of_model = get_peft_model_state_dict(model, save_embedding_layers=False)
    head = {name: one for name, one in of_model.items() if "lora_" not in name}  # a new one, of a reward model
    result = set_peft_model_state_dict(model, {**head, **weights})
    absent = [name for name in result.missing_keys if "lora_" in name]
    if absent or result.unexpected_keys:
        raise RuntimeError(f"{len(absent)} missing, {len(result.unexpected_keys)} unexpected")


def _check_targets(model: PreTrainedModel, targets: str | list[str]) -> None:
    if isinstance(targets, str):
        return
    # Blocks and norms have names too, but no matrix product that LoRA could be added to.
    names = {
        name
        for name, module in model.named_modules()
        if hasattr(module, "in_features") or type(module).__name__ in ("Conv1D", "Embedding")
    }
    linear = {name.rsplit(".", 1)[-1] for name in names}
    missing = [target for target in targets if not any(name == target or name.endswith(f".{target}") for name in names)]
    if missing:
        raise FineTuneError.of(Code.TARGET_MODULES_MISSING, value=missing, known=sorted(linear - {"lm_head"}))


def _check_patterns(model: PeftModel, named: list[str]) -> None:
    """Refuse ranks and scalings for layers that have no adapter."""
    adapted = [name for name, module in model.named_modules() if hasattr(module, "lora_A")]
    if missing := [one for one in named if not any(name.endswith(f".{one}") for name in adapted)]:
        known = sorted({name.rsplit(".", 1)[-1] for name in adapted})
        raise FineTuneError.of(Code.TARGET_MODULES_MISSING, value=missing, known=known)


def is_tied(model: PreTrainedModel) -> bool:
    """Return whether embeddings and head are one table."""
    return bool(getattr(model.config.get_text_config(), "tie_word_embeddings", False))


def _check_layers(model: PreTrainedModel, layers: list[int]) -> None:
    count = model.config.get_text_config().num_hidden_layers
    if beyond := [layer for layer in layers if layer >= count]:
        found = {"value": str(beyond[-1]), "expected": "layer_of_model", "known": count - 1}
        raise FineTuneError.of(Code.VALUE_INVALID, field="lora.layers_to_transform", **found)


def _linear_names(model: PreTrainedModel, targets: str | list[str]) -> list[str]:
    """Return the names of the layers to adapt, because PEFT combines 'all-linear' with no choice of layers."""
    if not isinstance(targets, str):
        return targets
    head = getattr(model, HEAD, None) or model.get_output_embeddings()
    linear = (
        name
        for name, module in model.named_modules()
        if (isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D") and module is not head
    )
    return sorted({name.rsplit(".", 1)[-1] for name in linear})
