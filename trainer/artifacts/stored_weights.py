"""What files of weights and adapters say of themselves, without loading them: no torch here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

from interfaces.files import read_json

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MODEL_CONFIG, MODEL_WEIGHTS, MODEL_INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
CHANGE_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Initializations of LoRA that also change the base's weights, so that its files aren't what the adapter belongs to."""
UNSUPPORTED = (
    "target_parameters", "trainable_token_indices", "layer_replication", "lora_bias", "use_qalora", "use_bdlora",
    "alora_invocation_tokens", "arrow_config", "kasa_config", "velora_config", "monteclora_config",
)  # fmt: skip
"""Settings of PEFT's LoRA with which an adapter computes something else than LoRA, rsLoRA or DoRA."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a safetensors file. `dtype` is safetensors' name of it, such as BF16."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str


def tensors_in(*files: Path) -> dict[str, StoredTensor]:
    """Return the tensors of safetensors files by their names, in the order of the files.

    Raises:
        SafetensorError: a file is damaged.
    """
    found = {}
    for path in files:
        with safe_open(path, "np") as file:
            for name in file.offset_keys():
                part = file.get_slice(name)
                found[name] = StoredTensor(path, name, tuple(part.get_shape()), part.get_dtype())
    return found


def base_reference(portable_name: str) -> str:
    """Return what an adapter calls its base model, without a path of this machine.

    A bare folder name would be looked up on the Hub, where another user's model may have it; a path never is.
    """
    return portable_name if "/" in portable_name else f"./{portable_name}"


def config_with_base(adapter: Path, base: str) -> str:
    """Return the text of an adapter's config in which its base model has another name. PEFT writes the base's path."""
    return json.dumps({**(read_json(adapter / ADAPTER_CONFIG) or {}), "base_model_name_or_path": base}, indent=2) + "\n"
