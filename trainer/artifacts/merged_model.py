"""A base model with an adapter merged into it, tensor by tensor from the files, so that neither has to fit in memory.

With the base's weight W, the adapter's factors A and B, and the scale s = alpha / r:

    LoRA     W + s B A                              (Hu et al. 2021, arXiv 2106.09685)
    rsLoRA   the same with s = alpha / sqrt(r)      (Kalajdzievski 2023, arXiv 2312.03732)
    DoRA     m (W + s B A) / |W + s B A|            (Liu et al. 2024, arXiv 2402.09353), the norm over the inputs

Everything is computed in fp32, whatever the run computed in, and as PEFT computes it: the results are equal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.utils.other import get_pattern_key
from safetensors import safe_open

from interfaces.errors import FineTuneError
from interfaces.files import read_json
from interfaces.problems import Code
from trainer.artifacts.stored_weights import ADAPTER_WEIGHTS, CHANGE_THE_BASE, UNSUPPORTED, tensors_in

ModelConfig = dict[str, Any]
"""config.json as transformers writes it."""

_PARTS = re.compile(r"(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(\.weight)?")  # fmt: skip
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "lm_head.weight")
_PREFIX = "base_model.model."
_HEAD = "lm_head.weight"


@dataclass
class _Update:
    """What an adapter does to one weight: its factors, or a weight that replaces it."""

    parts: dict[str, str] = field(default_factory=dict)
    scale: float = 0.0
    replaced_by: str = ""


class MergedModel:
    """The tensors of a base model's folder with the adapter in another one merged into them."""

    def __init__(self, base: Path, adapter: Path | None) -> None:
        """Read what the files say. A model without an adapter is complete already.

        Raises:
            FineTuneError: the adapter, or the base, is of a kind that can't be merged from its files.
        """
        self.config: ModelConfig = dict(read_json(base / "config.json") or {})
        if "quantization_config" in self.config:
            raise _unsupported("base_quantized")
        self.tensors = tensors_in(*sorted(base.glob("*.safetensors")))
        self._updates: dict[str, _Update] = {}
        if adapter is not None:
            self._adapter = adapter / ADAPTER_WEIGHTS
            self._settings = _settings_of(adapter)
            self._updates = self._read_updates()

    @property
    def names(self) -> list[str]:
        """The tensors in the order of their files."""
        return list(self.tensors)

    def is_changed(self, name: str) -> bool:
        return name in self._updates

    @torch.inference_mode()
    def tensor(self, name: str) -> torch.Tensor:
        """Return a tensor: in fp32 if the adapter changes it, as it is stored otherwise."""
        stored, update = self.tensors[name], self._updates.get(name)
        if update is None:
            return _read(stored.file, stored.name)
        if update.replaced_by:
            return _read(self._adapter, update.replaced_by).float()
        weight = _read(stored.file, stored.name).to(torch.float32, copy=True)
        embeds = "lora_embedding_A" in update.parts
        first, second = ("lora_embedding_A", "lora_embedding_B") if embeds else ("lora_A", "lora_B")
        a, b = (_read(self._adapter, update.parts[part]).float() for part in (first, second))
        delta = b @ a
        if embeds or self._settings.fan_in_fan_out:
            delta = delta.T
        weight += delta.mul_(update.scale)
        if "lora_magnitude_vector" in update.parts:
            magnitude = _read(self._adapter, update.parts["lora_magnitude_vector"]).float()
            by_output = weight.T if self._settings.fan_in_fan_out else weight
            by_output *= (magnitude.reshape(-1) / torch.linalg.norm(by_output, dim=1)).reshape(-1, 1)
        return weight

    def _read_updates(self) -> dict[str, _Update]:
        updates: dict[str, _Update] = {}
        with safe_open(self._adapter, "pt") as file:
            keys = list(file.keys())
        trained_as_one = self._tied_tables_are_one(keys)
        for key in keys:
            plain = key.removeprefix(_PREFIX)
            if trained_as_one and plain == _HEAD:
                continue  # the same weights as the embeddings, whose name the base's files have
            if plain.endswith(".base_layer.weight"):
                continue  # a copy of the base's weight, which PEFT saves with adapters of embeddings
            plain = plain.replace(".base_layer.bias", ".bias")  # one that was trained too
            found = _PARTS.fullmatch(plain)
            name = self._name_of(found["module"] + ".weight" if found else plain)
            update = updates.setdefault(name, _Update())
            if found:
                update.parts[found["part"]] = key
                update.scale = self._scale_of(found["module"], update, key)
            else:
                update.replaced_by = key
        for name, update in updates.items():
            self._check(name, update)
        tied = self.config.get("tie_word_embeddings") and not trained_as_one
        if tied and any(name.endswith(_EMBEDDINGS) for name in updates):
            raise _unsupported("tied_head")  # the head would change with them, and didn't in training
        return updates

    def _tied_tables_are_one(self, keys: Sequence[str]) -> bool:
        """Return whether embeddings and head, which are one table in the base, were trained as one, beside the adapter."""
        plain = {key.removeprefix(_PREFIX): key for key in keys}
        tables = [key for name, key in plain.items() if name.endswith(_EMBEDDINGS) and name != _HEAD]
        if not self.config.get("tie_word_embeddings") or _HEAD not in plain or len(tables) != 1:
            return False
        return torch.equal(_read(self._adapter, tables[0]), _read(self._adapter, plain[_HEAD]))

    def _name_of(self, wanted: str) -> str:
        """Return the name in the base's files. Some leave out the first part of the module's name."""
        for name in (wanted, wanted.partition(".")[2]):
            if name in self.tensors:
                return name
        tied = self.config.get("tie_word_embeddings") and wanted.startswith("lm_head.")
        raise _unsupported("tied_head" if tied else "tensor_unknown", wanted)

    def _scale_of(self, module: str, update: _Update, key: str) -> float:
        settings = self._settings
        if not key.removesuffix(".weight").endswith("_A"):
            return update.scale
        with safe_open(self._adapter, "pt") as file:
            rank = file.get_slice(key).get_shape()[0]
        pattern = settings.alpha_pattern or {}
        alpha = pattern.get(get_pattern_key(pattern.keys(), module), settings.lora_alpha)
        return float(alpha) / (math.sqrt(rank) if settings.use_rslora else rank)

    def _check(self, name: str, update: _Update) -> None:
        """
        Raises:
            FineTuneError: the adapter's tensors don't fit the base's.
        """
        stored = self.tensors[name]
        if update.replaced_by:
            with safe_open(self._adapter, "pt") as file:
                shape = tuple(file.get_slice(update.replaced_by).get_shape())
            if shape != stored.shape:
                raise _unsupported("shape_differs", name)
            return
        if len({"lora_A", "lora_B"} & update.parts.keys()) != 2 and len({"lora_embedding_A", "lora_embedding_B"} & update.parts.keys()) != 2:  # fmt: skip
            raise _unsupported("tensor_unknown", name)
        if len(stored.shape) != 2:
            raise _unsupported("not_linear", name)
        if {"lora_embedding_A", "lora_magnitude_vector"} <= update.parts.keys():
            raise _unsupported("setting", "use_dora with embeddings")


def _settings_of(adapter: Path) -> LoraConfig:
    settings = LoraConfig.from_pretrained(str(adapter))
    for name in UNSUPPORTED:
        if getattr(settings, name, None):
            raise _unsupported("setting", name)
    start = str(settings.init_lora_weights).lower()
    if start.startswith(CHANGE_THE_BASE):
        raise _unsupported("setting", f"init_lora_weights={start}")
    return settings


def _read(path: Path, name: str) -> torch.Tensor:
    """Read one tensor. The file is closed again, or the pages of all tensors so far would count as memory."""
    with safe_open(path, "pt") as file:
        tensor: torch.Tensor = file.get_tensor(name)
    return tensor


def _unsupported(reason: str, value: str = "") -> FineTuneError:
    return FineTuneError.of(Code.MERGE_UNSUPPORTED, reason=reason, value=value)
