"""Loads the base model."""

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
    """Load the base model on its device in the chosen dtype or quantized. Its weights are not trained.

    Raises:
        FineTuneError: the architecture is unknown, the files are damaged, or quantization doesn't work here.
    """
    options: dict[str, Any] = {"dtype": compute.dtype}
    if config.load_in_4bit or config.load_in_8bit:
        options["quantization_config"] = _quantization(config, compute)
        options["device_map"] = {"": str(compute.device)}
    try:
        model, reported = AutoModelForCausalLM.from_pretrained(
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
    if missing := sorted(reported["missing_keys"]):
        # Missing weights would be random, and training would only hide that.
        named = f"{len(missing)} weights ({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''})"
        found = sorted(path.name for path in files.path.glob("*.safetensors"))
        raise FineTuneError.of(Code.MODEL_INCOMPLETE, path=str(files.path), missing=named, found=found[:12])
    _keep_trainable(model)
    model.config.use_cache = False  # useless in training, and incompatible with checkpointing
    return model if "device_map" in options else model.to(compute.device)


def _keep_trainable(model: torch.nn.Module) -> None:
    """Prevent bitsandbytes from packing 4-bit layers for inference, which it does on some CPUs in eval mode.

    A packed layer silently passes no gradient, so training would stop after the first evaluation or sample.
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
    """Return (trained parameters, all parameters). Quantized weights count with their original number."""
    trained = total = 0
    for parameter in model.parameters():
        count = parameter.numel()
        if type(parameter).__name__ == "Params4bit":
            count *= 2
        total += count
        trained += count if parameter.requires_grad else 0
    return trained, total
