"""Writes a merged model as a GGUF file, tensor by tensor (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).

Names of tensors come from the package `gguf`; the rest follows llama.cpp's own converter, with which the tensors agree
byte for byte.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy
import numpy.typing
import torch
from gguf import GGMLQuantizationType as Type

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from trainer.artifacts import k_quants
from trainer.artifacts.gguf_types import FILE_TYPES, MIXES, type_of
from trainer.artifacts.gguf_vocabulary import add_vocabulary
from trainer.artifacts.merged_folder import CHUNK_ELEMENTS, LARGEST_F16, Tell
from trainer.artifacts.merged_model import MergedModel, ModelConfig
from trainer.tokens.template import ChatTemplate

log = logging.getLogger(__name__)

FAMILIES = {
    "llama": gguf.MODEL_ARCH.LLAMA, "mistral": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3, "gemma": gguf.MODEL_ARCH.GEMMA, "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
}  # fmt: skip
"""transformers' `model_type`, and the architecture of llama.cpp."""
GEMMA_PATTERN = {"gemma2": 2, "gemma3_text": 6}
"""Every second or sixth layer of Gemma attends to all tokens, the others to the last ones. llama.cpp knows this by the name."""


class GGUFFile:
    """A GGUF file of a merged model that is yet to be written."""

    def __init__(self, merged: MergedModel, kind: str) -> None:
        """
        Raises:
            FineTuneError: the family or a setting of it can't be written as a GGUF.
        """
        if kind in MIXES and not k_quants.can_quantize():
            raise unsupported("no_k_quants", kind)
        self._merged, self._kind = merged, kind
        self._arch = _family_of(merged.config)
        self._plan = list(_plan(merged, self._arch, kind))

    @property
    def bytes(self) -> int:
        """The size of all tensors."""
        return sum(one.bytes for one in self._plan)

    @property
    def types(self) -> dict[str, int]:
        """The number of tensors in each type."""
        names = [one.type.name.lower() for one in self._plan]
        return {name: names.count(name) for name in sorted(set(names))}

    @property
    def substituted(self) -> int:
        """How many tensors couldn't have the type that was asked for."""
        return sum(one.is_substituted for one in self._plan)

    def write(self, path: Path, name: str, tokenizer: Path, template: ChatTemplate, tell: Tell) -> None:
        """Write the file. `tokenizer` is the folder with tokenizer.json.

        Raises:
            FineTuneError: llama.cpp has no such tokenizer, or a weight is too large for the type.
        """
        config = self._merged.config
        writer = gguf.GGUFWriter(None, gguf.MODEL_ARCH_NAMES[self._arch])
        writer.add_type(gguf.GGUFType.MODEL)
        writer.add_name(name)
        _add_settings(writer, config)
        writer.add_file_type(FILE_TYPES[self._kind])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        add_vocabulary(writer, tokenizer, int(config["vocab_size"]), template)
        for one in self._plan:
            writer.add_tensor_info(one.name, one.byte_shape, numpy.dtype(numpy.uint8), one.bytes, raw_dtype=one.type)
        writer.write_header_to_file(path)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        done = 0
        for one in self._plan:
            writer.write_tensor_data(_stored(one.load(), one.type))
            done += one.bytes
            tell(done, self.bytes)
        writer.close()


@dataclass(frozen=True)
class _Planned:
    """A tensor of the file. `load` returns it in the layout of llama.cpp."""

    name: str
    shape: tuple[int, ...]
    type: Type
    is_substituted: bool
    load: Callable[[], torch.Tensor]

    @property
    def byte_shape(self) -> tuple[int, ...]:
        block, size = gguf.GGML_QUANT_SIZES[self.type]
        return (*self.shape[:-1], self.shape[-1] // block * size)

    @property
    def bytes(self) -> int:
        return math.prod(self.byte_shape)


def _plan(merged: MergedModel, arch: gguf.MODEL_ARCH, kind: str) -> Iterator[_Planned]:
    config = merged.config
    names = gguf.get_tensor_name_map(arch, int(config["num_hidden_layers"]))
    tied = bool(config.get("tie_word_embeddings"))
    factors = rope_factors(config)
    if factors is not None:
        yield _Planned("rope_freqs.weight", tuple(factors.shape), Type.F32, False, lambda: factors)
    for name in merged.names:
        if name.endswith((".rotary_emb.inv_freq", ".attention.bias", ".masked_bias")):
            continue
        if name == "lm_head.weight" and tied:
            continue
        new = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if new is None:
            raise unsupported("tensor_unknown", name)
        shape = merged.tensors[name].shape
        wanted, is_substitute = type_of(new, shape, kind, int(config["num_hidden_layers"]), tied)
        yield _Planned(new, shape, wanted, is_substitute, _loader(merged, name, config))


def _loader(merged: MergedModel, name: str, config: ModelConfig) -> Callable[[], torch.Tensor]:
    heads = int(config["num_attention_heads"])
    rotated = {"q_proj": heads, "k_proj": int(config.get("num_key_value_heads") or heads)}
    module = name.rpartition(".")[0].rpartition(".")[2]

    def load() -> torch.Tensor:
        tensor = merged.tensor(name)
        if config["model_type"] in ("llama", "mistral") and module in rotated:
            return _permuted(tensor, rotated[module])
        # Gemma multiplies by one more than the weight of a norm, llama.cpp by what is in the file.
        return tensor.float() + 1 if _is_gemma(config) and name.endswith("norm.weight") else tensor

    return load


def _permuted(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """Reorder the rows of a projection: llama.cpp rotates neighboring pairs, transformers the halves of a head."""
    rest = tensor.shape[1:]
    return tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *rest).swapaxes(1, 2).reshape(tensor.shape)


def _stored(tensor: torch.Tensor, kind: Type) -> numpy.ndarray[tuple[int, ...], numpy.dtype[numpy.uint8]]:
    """Return a tensor's bytes in the type of the file, converted in parts, so that its fp32 copy never exists whole."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    last = tensor.shape[-1]
    found = numpy.empty((tensor.numel() // last, last // block * size), dtype=numpy.uint8)
    rows = tensor.reshape(-1, last)
    step = max(CHUNK_ELEMENTS // last, 1)
    for start in range(0, len(rows), step):
        part = rows[start : start + step].float().numpy()
        if kind == Type.F16 and numpy.abs(part).max() > LARGEST_F16:
            raise unsupported("too_large_for_f16")
        made = part.astype(numpy.float16) if kind == Type.F16 else _quantized(part, kind)
        found[start : start + step] = made.view(numpy.uint8).reshape(len(part), -1)
    return found


def _quantized(rows: numpy.typing.NDArray[numpy.float32], kind: Type) -> numpy.typing.NDArray[numpy.uint8]:
    if kind in k_quants.NAMES:
        return k_quants.quantize_rows(rows, kind)
    found: numpy.typing.NDArray[numpy.uint8] = gguf.quants.quantize(rows, kind)
    return found


def _family_of(config: ModelConfig) -> gguf.MODEL_ARCH:
    family = str(config.get("model_type"))
    if family not in FAMILIES:
        raise unsupported("family", family)
    for name in ("attention_bias", "mlp_bias"):
        if family != "qwen2" and config.get(name):
            raise unsupported("setting", name)
    if config.get("use_sliding_window"):
        raise unsupported("setting", "use_sliding_window")
    if _is_gemma(config):
        _check_gemma(config, family)
    return FAMILIES[family]


def _is_gemma(config: ModelConfig) -> bool:
    return str(config.get("model_type")).startswith("gemma")


def _check_gemma(config: ModelConfig, family: str) -> None:
    """
    Raises:
        FineTuneError: a setting is another one than llama.cpp takes for granted.
    """
    kinds, pattern = config.get("layer_types"), GEMMA_PATTERN.get(family)
    if pattern and kinds is not None:
        full = [at for at, kind in enumerate(kinds) if kind == "full_attention"]
        if full != list(range(pattern - 1, len(kinds), pattern)):
            raise unsupported("setting", "layer_types")
    scale = config.get("query_pre_attn_scalar")
    if scale not in (None, _head_size(config)):
        raise unsupported("setting", f"query_pre_attn_scalar={scale}")
    if config.get("use_bidirectional_attention"):
        raise unsupported("setting", "use_bidirectional_attention")
    activation = config.get("hidden_activation") or config.get("hidden_act")
    if activation not in (None, "gelu_pytorch_tanh"):
        raise unsupported("setting", f"hidden_activation={activation}")
    local = (config.get("rope_parameters") or {}).get("sliding_attention") or {}
    theta = float(local.get("rope_theta") or config.get("rope_local_base_freq") or 10000.0)
    if local.get("rope_type", "default") != "default" or theta != 10000.0:
        raise unsupported("setting", "rope_parameters.sliding_attention")


def _rope(config: ModelConfig) -> ModelConfig:
    """Return the rope settings, which transformers 5 keeps in `rope_parameters` and older files beside each other."""
    found = config.get("rope_parameters") or config.get("rope_scaling") or {}
    rope = dict(found.get("full_attention", found)) if isinstance(found, dict) else {}
    rope.setdefault("rope_theta", config.get("rope_theta", 10000.0))
    rope["rope_type"] = rope.get("rope_type") or rope.get("type") or "default"
    return rope


def rope_factors(config: ModelConfig) -> torch.Tensor | None:
    """Return by what each frequency is divided with rope type llama3, and None with the default one.

    Formula: `_compute_llama3_parameters` of transformers. (head_dim / 2), fp32.

    Raises:
        FineTuneError: another rope type.
    """
    rope = _rope(config)
    if rope["rope_type"] == "default":
        return None
    if rope["rope_type"] != "llama3":
        raise unsupported("setting", f"rope_type={rope['rope_type']}")
    size = _head_size(config)
    theta, factor, low, high, old = (
        float(rope[key])
        for key in ("rope_theta", "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    )
    frequencies = 1.0 / (theta ** (torch.arange(0, size, 2, dtype=torch.float32) / size))
    lengths = 2 * math.pi / frequencies
    smooth = (old / lengths - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    return torch.where(lengths < old / high, 1.0, torch.where(lengths > old / low, factor, between))


def _head_size(config: ModelConfig) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def _add_settings(writer: gguf.GGUFWriter, config: ModelConfig) -> None:
    def number(key: str) -> int:
        return int(config[key])

    size = _head_size(config)
    writer.add_context_length(number("max_position_embeddings"))
    writer.add_embedding_length(number("hidden_size"))
    writer.add_block_count(number("num_hidden_layers"))
    writer.add_feed_forward_length(number("intermediate_size"))
    writer.add_head_count(number("num_attention_heads"))
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or config["num_attention_heads"]))
    writer.add_rope_freq_base(float(_rope(config)["rope_theta"]))
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_vocab_size(number("vocab_size"))
    writer.add_rope_dimension_count(size)
    writer.add_key_length(size)
    writer.add_value_length(size)
    if config["model_type"] in GEMMA_PATTERN and config.get("sliding_window"):
        writer.add_sliding_window(number("sliding_window"))
    if config.get("attn_logit_softcapping"):
        writer.add_attn_logit_softcapping(float(config["attn_logit_softcapping"]))
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(float(config["final_logit_softcapping"]))


def unsupported(reason: str, value: str = "") -> FineTuneError:
    return FineTuneError.of(Code.GGUF_UNSUPPORTED, reason=reason, value=value)
