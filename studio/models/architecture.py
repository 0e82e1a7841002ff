"""Reads a model's architecture from its config.json: layers, widths, vocabulary, and parameter counts. No torch.

Names follow transformers' configs. The same few numbers describe a decoder of any family. Differences between
families (fused projections, experts, tied embeddings) are handled only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interfaces.errors import FineTuneError
from interfaces.problems import Code

STORED_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1}
PLAIN_MLP = {"phi", "gpt2", "gpt_neox", "gpt_bigcode", "opt", "bloom", "falcon", "starcoder2", "codegen", "gptj", "mpt"}
"""Families whose MLP has two matrices instead of three (no gate)."""
QKV_BIAS = {
    "qwen2",
    "qwen2_moe",
    "qwen",
    "phi",
    "gpt2",
    "gpt_neox",
    "gpt_bigcode",
    "opt",
    "bloom",
    "starcoder2",
    "chatglm",
}
TIED = {"gpt2", "opt", "bloom", "gpt_bigcode", "falcon", "cohere", "cohere2", "mpt", "starcoder2"}
"""Families that tie the head to the embeddings unless their config disagrees."""
QK_NORM = {"qwen3", "qwen3_moe", "gemma3_text", "gemma3"}
WRITES = ("CausalLM", "LMHead", "ConditionalGeneration")
"""Parts of the class names of models that generate text."""
COUNTED = {"num_hidden_layers", "num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok"}
MOST_PARTS = 4096
"""More layers or experts than any model has. A config with more is damaged or malicious."""
ALIASES = {
    "hidden_size": ("n_embd", "d_model"),
    "num_hidden_layers": ("n_layer", "num_layers", "n_layers"),
    "num_attention_heads": ("n_head", "n_heads"),
    "num_key_value_heads": ("multi_query_group_num",),
    "intermediate_size": ("n_inner", "ffn_hidden_size", "ffn_dim"),
    "vocab_size": ("padded_vocab_size",),
    "max_position_embeddings": ("n_positions", "seq_length", "n_ctx", "max_seq_len"),
}


@dataclass(frozen=True)
class Linear:
    """One projection: y = W x, with `inputs` columns and `outputs` rows."""

    name: str
    inputs: int
    outputs: int
    bias: bool = False

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs


@dataclass(frozen=True)
class Architecture:
    """The architecture of a decoder. Sizes are in elements, `context` is in tokens."""

    model_type: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    tied: bool = True
    gated: bool = True
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    norms: int = 2
    """Norms of a layer, as wide as the hidden state."""
    window: int = 0
    """The size of the attention window in tokens; 0 for full attention."""
    experts: int = 0
    experts_used: int = 0
    shared_intermediate: int = 0
    stored: str = "bfloat16"
    """The number format on the disk."""

    @property
    def queries(self) -> int:
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        return self.kv_heads * self.head_dim

    def attention_linears(self) -> tuple[Linear, ...]:
        return (
            Linear("q_proj", self.hidden, self.queries, self.qkv_bias),
            Linear("k_proj", self.hidden, self.keys, self.qkv_bias),
            Linear("v_proj", self.hidden, self.keys, self.qkv_bias),
            Linear("o_proj", self.queries, self.hidden, self.out_bias),
        )

    def mlp_linears(self, width: int | None = None) -> tuple[Linear, ...]:
        """The matrices of one MLP, or of one expert."""
        width = width or self.intermediate
        gate = (Linear("gate_proj", self.hidden, width, self.mlp_bias),) if self.gated else ()
        up, down = (
            Linear("up_proj", self.hidden, width, self.mlp_bias),
            Linear("down_proj", width, self.hidden, self.mlp_bias),
        )
        return (*gate, up, down)

    def linears(self) -> tuple[Linear, ...]:
        """All matrices of one layer that can be quantized or adapted, with each expert's listed separately."""
        mlp = self.mlp_linears() * max(self.experts, 1)
        shared = self.mlp_linears(self.shared_intermediate) if self.shared_intermediate else ()
        return (*self.attention_linears(), *mlp, *shared)

    @property
    def linear_weights(self) -> int:
        """Weights of the matrices inside all layers: those that are quantized."""
        return self.layers * sum(linear.weights for linear in self.linears())

    @property
    def table_weights(self) -> int:
        """Weights of the embedding table (the head is as large again, or the same one)."""
        return self.vocabulary * self.hidden

    @property
    def small_weights(self) -> int:
        """Norms, biases and routers: never quantized, and no adapter."""
        biases = sum(linear.outputs for linear in self.linears() if linear.bias)
        qk_norms = 2 * self.head_dim if self.qk_norm else 0
        return self.layers * (self.norms * self.hidden + biases + qk_norms + self.experts * self.hidden) + self.hidden

    @property
    def parameters(self) -> int:
        """All parameters, as model cards count them."""
        return self.linear_weights + self.small_weights + self.table_weights * (1 if self.tied else 2)

    @property
    def active_parameters(self) -> int:
        """Weights that one token passes through, without the embedding table."""
        used = sum(linear.weights for linear in self.attention_linears())
        used += max(self.experts_used, 1) * sum(linear.weights for linear in self.mlp_linears())
        if self.shared_intermediate:
            used += sum(linear.weights for linear in self.mlp_linears(self.shared_intermediate))
        return self.layers * used + self.table_weights


def read_architecture(config: Mapping[str, object], name: str = "") -> Architecture:
    """Read the architecture from a config.json. For a vision-language model, read its text config.

    Raises:
        FineTuneError: the config isn't that of a language model, or is incomplete.
    """
    for inner in ("text_config", "llm_config", "language_config"):
        part = config.get(inner)
        if isinstance(part, Mapping):
            config = {**config, **part}
    kind = str(config.get("model_type") or "")
    classes = config.get("architectures")
    if isinstance(classes, list) and classes and not any(word in str(one) for one in classes for word in WRITES):
        seen = str(classes[0])[:80]
        raise FineTuneError.of(Code.MODEL_UNSUPPORTED, model=name or kind, reason="no_language_model", seen=seen)
    try:
        return _read(config, kind)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        missing = str(error.args[0] if error.args else "") or type(error).__name__
        raise FineTuneError.of(
            Code.MODEL_UNSUPPORTED, model=name or kind or "?", reason="shape_unknown", seen=missing
        ) from error


def _read(config: Mapping[str, object], kind: str) -> Architecture:
    def number(key: str, default: int | None = None) -> int:
        for known in (key, *ALIASES.get(key, ())):
            found: Any = config.get(known)
            if found is not None:
                value = int(found)
                if not 0 <= value < (MOST_PARTS if key in COUNTED else 1 << 40):
                    raise ValueError(f"{known} is {value}")
                return value
        if default is None:
            raise KeyError(key)
        return default

    hidden, heads = number("hidden_size"), number("num_attention_heads")
    experts = number("num_experts", number("num_local_experts", number("n_routed_experts", 0)))
    intermediate = number("intermediate_size", 4 * hidden)
    if kind == "qwen":
        intermediate //= 2  # this config counts gate and up together
    multi_query = 1 if config.get("multi_query") else heads
    shape = Architecture(
        model_type=kind, hidden=hidden, intermediate=number("moe_intermediate_size", intermediate) if experts else intermediate,
        layers=number("num_hidden_layers"), heads=heads, kv_heads=number("num_key_value_heads", multi_query),
        head_dim=number("head_dim", number("kv_channels", hidden // heads)), vocabulary=number("vocab_size"),
        context=number("max_position_embeddings", 0), tied=bool(config.get("tie_word_embeddings", kind.startswith("gemma") or kind in TIED)),
        gated=kind not in PLAIN_MLP, qkv_bias=bool(config.get("attention_bias", config.get("add_qkv_bias", kind in QKV_BIAS))),
        out_bias=bool(config.get("attention_bias", False)) and kind not in ("qwen2", "chatglm"), mlp_bias=bool(config.get("mlp_bias", False)),
        qk_norm=kind in QK_NORM, norms=4 if kind.startswith(("gemma2", "gemma3")) else 2,
        window=number("sliding_window", 0) if config.get("use_sliding_window", True) else 0,
        experts=experts, experts_used=number("num_experts_per_tok", 1) if experts else 0,
        shared_intermediate=number("shared_expert_intermediate_size", 0) if experts else 0,
        stored=str(config.get("dtype") or config.get("torch_dtype") or "float32"),
    )  # fmt: skip
    if (
        not min(
            shape.hidden,
            shape.layers,
            shape.heads,
            shape.kv_heads,
            shape.head_dim,
            shape.vocabulary,
            shape.intermediate,
        )
        > 0
    ):
        raise ValueError("a dimension is 0")
    return shape
