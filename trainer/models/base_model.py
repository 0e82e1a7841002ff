"""The model to start from."""

from __future__ import annotations

import logging
from typing import Any

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from interfaces.config import FineTuneConfig
from interfaces.disk import is_of_the_disk
from interfaces.errors import FineTuneError
from interfaces.problems import Code
from trainer.models.device import Compute
from trainer.models.model_files import ModelFiles

log = logging.getLogger(__name__)


def load_model(files: ModelFiles, config: FineTuneConfig, compute: Compute) -> PreTrainedModel:
    """The base model on its device, in the chosen number format or quantized; nothing of it will be trained.

    Raises:
        FineTuneError: the architecture isn't known, the files are damaged, or quantization doesn't work here.
    """
    options: dict[str, Any] = {"dtype": compute.dtype}
    if config.load_in_4bit or config.load_in_8bit:
        options["quantization_config"] = _quantization(config, compute)
        options["device_map"] = {"": str(compute.device)}
    try:
        model, told = AutoModelForCausalLM.from_pretrained(
            files.path, local_files_only=True, trust_remote_code=False, use_safetensors=True, output_loading_info=True,
            **options,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, ImportError) as error:
        if is_of_the_disk(error):
            raise
        raise FineTuneError.of(Code.MODEL_UNSUPPORTED, model=config.model_name, reason=_reason(error)) from error
    except Exception as error:
        if isinstance(error, RuntimeError) and "ignore_mismatched_sizes" in str(error):
            reason = "weight_sizes"
            raise FineTuneError.of(Code.MODEL_UNSUPPORTED, model=config.model_name, reason=reason) from error
        if type(error).__name__ == "SafetensorError":
            code = Code.MODEL_DAMAGED if files.is_fetched else Code.FOLDER_DAMAGED
            raise FineTuneError.of(
                code, model=config.model_name, reason=_reason(error), path=str(files.path)
            ) from error
        raise
    if missing := sorted(told["missing_keys"]):
        # What isn't there would be random, and training would only hide it.
        named = f"{len(missing)} of its weights ({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''})"
        found = sorted(path.name for path in files.path.glob("*.safetensors"))
        raise FineTuneError.of(Code.MODEL_INCOMPLETE, path=str(files.path), missing=named, found=found[:12])
    _keep_trainable(model)
    model.config.use_cache = False  # of no use in training, and in the way of checkpointing
    return model if "device_map" in options else model.to(compute.device)


def _keep_trainable(model: torch.nn.Module) -> None:
    """On some processors bitsandbytes packs a 4-bit layer for inference at the first forward in eval mode.

    The packed layer passes no gradient on, and nothing says so: measuring or answering would end all learning.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def _quantization(config: FineTuneConfig, compute: Compute) -> BitsAndBytesConfig:
    field = "load_in_4bit" if config.load_in_4bit else "load_in_8bit"
    try:
        import bitsandbytes
    except ImportError as error:
        raise FineTuneError.of(Code.QUANTIZATION_UNAVAILABLE, field=field, reason=_reason(error)) from error
    log.info("bitsandbytes %s", bitsandbytes.__version__)
    if config.load_in_4bit:
        # NF4 with double quantization: QLoRA (Dettmers et al. 2023, arXiv:2305.14314).
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute.dtype,
        )
    return BitsAndBytesConfig(load_in_8bit=True)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def parameter_count(model: torch.nn.Module) -> tuple[int, int]:
    """(trained parameters, all parameters); a 4-bit weight counts as what it stands for."""
    trained = total = 0
    for parameter in model.parameters():
        count = parameter.numel()
        if type(parameter).__name__ == "Params4bit":
            count *= 2
        total += count
        trained += count if parameter.requires_grad else 0
    return trained, total
