"""Simulates the memory of a training step: it counts the allocation and release of every tensor as torch does them.

What a layer saves for the backward pass, and what the backward pass allocates temporarily, follows the executed code:
transformers' decoder layers, PEFT's LoRA, bitsandbytes' products, and our kernels (`trainer/kernels/lora_linear.py`,
`flat_attention.py`, `chunked_loss.py`). `bench/estimate.py` checks it against torch's allocator. No torch here.

Notation: T tokens of a batch, H the hidden size, I that of the MLP, V the vocabulary, r the rank; sizes in bytes.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from interfaces.kernel_sizes import BLOCK_ELEMENTS, CHUNK_ELEMENTS, LONGEST_KEPT, LONGEST_PRODUCT
from studio.models.architecture import Architecture, Linear

FP32 = 4


@dataclass(frozen=True)
class StepSpec:
    """The properties of one batch and of the model that determine a step's memory.

    `lengths` are the tokens per row, with padding if the batch is `padded`; `trained` of them are trained on.
    `width` and `adapter_width` are the bytes per number in the base model and in the adapter.
    """

    lengths: tuple[int, ...]
    trained: int
    width: int = 2
    adapter_width: int = 4
    rank: int = 16
    ranks: tuple[tuple[str, int], ...] = ()
    """The matrices with another rank, by name."""
    targets: frozenset[str] | None = None
    """Names of matrices with an adapter; None for all."""
    layers: tuple[int, ...] = ()
    """The numbers of the layers with an adapter; empty for all."""
    bits: Literal[4, 8, 16] = 16
    """Of the base's matrices: 16 is not quantized."""
    dropout: bool = False
    dora: bool = False
    checkpointing: bool = False
    loss: Literal["trained", "full"] = "trained"
    device: Literal["cpu", "cuda", "mps"] = "cpu"
    masked: bool = False
    """Whether rows of different lengths are padded, which needs a mask."""
    attention: Literal["auto", "flash", "eager"] = "auto"
    accumulates: bool = False
    """Whether gradients of an earlier batch exist already."""
    autocast: bool = False
    """Whether torch's autocast computes products of 32-bit numbers in the base model's format."""
    full: bool = False
    """Whether all weights are trained, and there is no adapter."""
    gradient_width: int = 4
    """The bytes per number in the gradients of weights that are trained as a whole."""
    tables: frozenset[str] = frozenset()
    """Of 'embeddings' and 'head' those that are trained as a whole; both if they are one table."""

    @property
    def tokens(self) -> int:
        return sum(self.lengths)

    @property
    def lora_linear(self) -> bool:
        """Whether the adapter's products are ours (`trainer/kernels/lora_linear.py`)."""
        return self.loss == "trained" and self.bits == 16 and not self.dropout and not self.dora and not self.full

    def adapted_layers(self, shape: Architecture) -> int:
        """Return how many layers have an adapter."""
        return len(self.layers) or shape.layers

    def learning_layers(self, shape: Architecture) -> int:
        """Return how many layers gradients pass: from the lowest one with an adapter to the last."""
        return shape.layers - min(self.layers, default=0)

    def rank_of(self, linear: Linear) -> int:
        return dict(self.ranks).get(linear.name, self.rank)

    def has_adapter(self, linear: Linear) -> bool:
        return not self.full and (self.targets is None or linear.name in self.targets)


@dataclass
class Ledger:
    """Allocated bytes by purpose, now and at the peak."""

    now: Counter[str] = field(default_factory=Counter)
    held: int = 0
    peak: int = 0
    at_peak: Counter[str] = field(default_factory=Counter)

    def take(self, part: str, *sizes: int) -> None:
        for size in sizes:
            self.now[part] += size
            self.held += size
        if self.held > self.peak:
            self.peak, self.at_peak = self.held, self.now.copy()

    def give(self, part: str, *sizes: int) -> None:
        for size in sizes:
            self.now[part] -= size
            self.held -= size

    def touch(self, part: str, *sizes: int) -> None:
        """Allocate and release at once."""
        self.take(part, *sizes)
        self.give(part, *sizes)


@functools.lru_cache(maxsize=4096)
def simulate_step(shape: Architecture, spec: StepSpec) -> Ledger:
    """Simulate one forward and backward pass, without weights and optimizer state. The result is read-only."""
    return _Step(shape, spec).play()


class _Step:
    def __init__(self, shape: Architecture, spec: StepSpec) -> None:
        self.shape, self.spec, self.ledger = shape, spec, Ledger()
        self.T, self.H = spec.tokens, shape.hidden
        self.d, self.r = spec.width, spec.rank_of
        self.a = spec.width if spec.autocast else spec.adapter_width  # bytes per number of the adapter's activations
        self.row = self.T * self.H * self.d
        self.I = shape.intermediate * max(shape.experts_used, 1) + shape.shared_intermediate
        self.tables = frozenset(("embeddings", "head")) if spec.tables and shape.tied else spec.tables
        self.layers = spec.learning_layers(shape)
        self.layer = self._layer_kept()

    def play(self) -> Ledger:
        ledger, shape, spec = self.ledger, self.shape, self.spec
        if spec.accumulates:
            ledger.take("gradients", self._gradients())
        ledger.take("activations", 2 * self.T * shape.head_dim * self.d)  # cos and sin
        if spec.masked:
            ledger.take("attention", len(spec.lengths) * max(spec.lengths) ** 2 * self._mask_width())
        ledger.take("activations", self.row)  # the embeddings
        if spec.checkpointing:
            self._forward_without_keeping()
        else:
            self._take_layer(self.layers)
        self._head()
        # All layers change the allocated memory equally, so the peak is in the first or the last layer.
        before = ledger.now.copy()
        self._layer_back()
        if self.layers > 1:
            for part in set(ledger.now) | set(before):
                change = (ledger.now[part] - before[part]) * (self.layers - 2)
                ledger.now[part] += change
                ledger.held += change
            self._layer_back()
        if "embeddings" in self.tables:
            self._table_back()
        return ledger

    def _gradients(self) -> int:
        if self.spec.full:
            return self.shape.parameters * self.spec.gradient_width
        linears = [linear for linear in self.shape.linears() if self.spec.has_adapter(linear)]
        tables = len(self.tables) * self.shape.table_weights // (2 if self.shape.tied else 1)
        pairs = sum(self.r(linear) * (linear.inputs + linear.outputs) for linear in linears)
        adapters = self.spec.adapted_layers(self.shape) * self.spec.adapter_width * pairs
        return adapters + tables * self.spec.gradient_width

    def _mask_width(self) -> int:
        return 1 + self.d

    # ---- what a layer keeps -------------------------------------------------------------------------------------

    def _layer_kept(self) -> dict[str, int]:
        """Return the bytes saved for the backward pass, by position in the layer."""
        shape, T = self.shape, self.T
        q, k, v, o = shape.attention_linears()
        *first, down = shape.mlp_linears(self.I)
        kept = {
            "norm": self._norm_kept(),
            "qkv": self._linears_kept((q, k, v)),
            "attention": self._attention_kept(),
            "o": self._linears_kept((o,)),
            "up": self._linears_kept(tuple(first)),
            # The activation function saves its input; the product saves both factors.
            "act": (3 if shape.gated else 1) * T * self.I * self.d,
            "down": self._linears_kept((down,)),
        }
        if shape.qk_norm:
            kept["qk_norm"] = T * (shape.queries + shape.keys) * FP32
        if shape.norms == 4:
            kept["more_norms"] = 2 * self._norm_kept()
        return kept

    def _norm_kept(self) -> int:
        """RMSNorm in 32 bits saves its input in 32 bits, and one number per token."""
        return self.T * self.H * FP32 + self.T * FP32

    def _linears_kept(self, linears: tuple[Linear, ...]) -> int:
        """Return the saved bytes of projections with a shared input: ours saves it once, PEFT casts it for each one."""
        spec, elements = self.spec, self.T * linears[0].inputs
        adapted = [linear for linear in linears if spec.has_adapter(linear)]
        if spec.full:
            return elements * self.d
        if adapted and spec.lora_linear:
            return elements * self.d + sum(map(self.r, adapted)) * self.T * self.d
        kept = sum(map(self.r, adapted)) * self.T * self.a
        if spec.dropout:
            # Dropout's output and its mask, which has the same width on a CPU and one byte per element on a GPU.
            kept += len(adapted) * elements * (self.a + (self.a if spec.device == "cpu" else 1))
        elif self.a != self.d:
            kept += len(adapted) * elements * self.a
        elif adapted:
            kept += elements * self.a
        if spec.dora:
            # The outputs of the base and the adapter, as factors of the learned magnitude.
            kept += sum(self.T * linear.outputs for linear in adapted) * (self.d + self.a)
        shares_input = bool(adapted) and self.a == self.d and not spec.dropout
        return kept + (0 if shares_input else self._held_by_product(linears))

    def _held_by_product(self, linears: tuple[Linear, ...]) -> int:
        """bitsandbytes' 8-bit product keeps its input until the end of the step, even if nothing needs it."""
        return self.T * linears[0].inputs * self.d if self.spec.bits == 8 else 0

    def _attention_kept(self) -> int:
        shape, spec = self.shape, self.spec
        queries, keys = shape.queries, shape.keys
        kept = 0
        for length in spec.lengths:
            kind = self._kind(length)
            if kind == "products":
                kept += length * (queries + 2 * keys) * self.d
                kept += shape.heads * length * length * self.d if length <= LONGEST_KEPT else 0
            elif kind == "scores":
                # Softmax saves its result in 32 bits, the product saves it in the model's format.
                kept += length * 3 * queries * self.d + shape.heads * length * length * (self.d + FP32)
            else:
                # With a mask, heads that share a key get a copy each.
                expanded = 2 * queries if spec.masked else 2 * keys
                kept += length * (2 * queries + expanded) * self.d + shape.heads * length * FP32
        return kept

    def _kind(self, length: int) -> str:
        spec = self.spec
        if spec.attention == "eager":
            return "scores"
        if spec.loss == "trained" and spec.device == "cpu" and spec.width == 2 and length <= LONGEST_PRODUCT:
            return "products"
        return "kernel"

    # ---- forward and backward -----------------------------------------------------------------------------------

    def _take_layer(self, layers: int = 1) -> None:
        for place, size in self.layer.items():
            self.ledger.take(_part(place), size * layers)
        self.ledger.take("activations", self.layer["norm"] * layers)  # the second one

    def _give(self, place: str) -> None:
        self.ledger.give(_part(place), self.layer[place])

    def _forward_without_keeping(self) -> None:
        """Run all layers with checkpointing: only their inputs stay, plus what bitsandbytes keeps despite the hooks."""
        q, k, v, o = self.shape.attention_linears()
        *first, down = self.shape.mlp_linears(self.I)
        held = sum(self._held_by_product(linears) for linears in ((q, k, v), (o,), tuple(first), (down,)))
        self.ledger.take("activations", (self.row + held) * self.layers)

    def _layer_back(self) -> None:
        if self.spec.checkpointing:
            self._take_layer()
        self._backward()
        if self.spec.checkpointing:
            self.ledger.give("activations", self.row)

    def _backward(self) -> None:
        """Run the backward pass of one layer; saved tensors are released as soon as they have been used."""
        ledger, T, d, shape = self.ledger, self.T, self.d, self.shape
        wide, mixed = T * self.I * d, T * (shape.queries + 2 * shape.keys) * d
        q, k, v, o = shape.attention_linears()
        *first, down = shape.mlp_linears(self.I)
        ledger.take("activations", self.row)  # the incoming gradient, kept for the residual
        self._linear_back(down, wide)
        self._give("down")
        if shape.gated:
            ledger.take("activations", wide)  # the gradients of both factors, before that of their product is freed
        ledger.touch("activations", wide)
        ledger.give("activations", self.layer["act"])
        ledger.take("activations", wide if shape.gated else 0)  # the activation's input is kept until it is needed
        for linear in reversed(first):
            self._linear_back(linear, self.row)
        ledger.give("activations", (3 if shape.gated else 1) * wide, self.row * (len(first) - 1))
        self._give("up")
        self._norm_back()
        self._linear_back(o, T * shape.queries * d)
        self._give("o")
        self._attention_back()
        ledger.give("activations", T * shape.queries * d)
        ledger.take("activations", mixed)
        for linear in (v, k, q):
            self._linear_back(linear, self.row)
        ledger.give("activations", mixed, 2 * self.row)
        self._give("qkv")
        self._norm_back()
        for place in ("qk_norm", "more_norms"):
            if place in self.layer:
                self._give(place)
        ledger.give("activations", self.row)

    def _linear_back(self, linear: Linear, of_input: int) -> None:
        """Compute the gradients of one projection; that of its input (`of_input` bytes) stays allocated."""
        ledger, spec, T = self.ledger, self.spec, self.T
        adapted = spec.has_adapter(linear)
        if adapted and not spec.lora_linear:
            narrow, wide = T * linear.outputs * self.d, T * linear.outputs * self.a
            # In the adapter's format and scaled, next to the gradient that waits for the base's product.
            scaled = wide * (5 if spec.dora else 2)
            ledger.touch("activations", scaled, narrow if spec.bits == 16 and self.a != self.d else 0)
            ledger.touch("activations", wide, T * linear.inputs * self.a * (2 if spec.dropout else 1))
        if adapted and spec.dora:
            ledger.touch("dequantized", 3 * linear.weights * FP32)  # W + B A in 32 bits, for the norm of its columns
        ledger.take("activations", of_input)
        extra = of_input if adapted and not spec.lora_linear else 0  # the gradients of both paths before they are added
        matrix = linear.weights * self.d if spec.bits != 16 else 0
        ledger.take("activations", extra)
        ledger.touch("dequantized", matrix)
        ledger.give("activations", extra)
        if spec.full:
            self._weight_gradient(linear.weights)
        elif adapted and not spec.accumulates:
            ledger.take("gradients", self.r(linear) * (linear.inputs + linear.outputs) * spec.adapter_width)
        elif adapted:
            ledger.touch("gradients", self.r(linear) * max(linear.inputs, linear.outputs) * spec.adapter_width)

    def _weight_gradient(self, weights: int) -> None:
        """Compute the gradient of a matrix that is trained: in its own format, and then added to that of others."""
        of_all = 0 if self.spec.accumulates else weights * self.spec.gradient_width
        converted = weights * self.d if self.spec.gradient_width != self.d or self.spec.accumulates else 0
        self.ledger.take("gradients", converted, of_all)
        self.ledger.give("gradients", converted)

    def _table_back(self) -> None:
        """Compute the gradient of the embeddings. If they are the head's too, its gradient has waited for this one."""
        table = self.shape.table_weights
        if self.shape.tied:
            self.ledger.touch("gradients", table * self.d)  # both, before they are added
            self.ledger.give("gradients", table * self.d)
        self._weight_gradient(table)

    def _norm_back(self) -> None:
        """Add the gradient of a norm to that of the residual."""
        self.ledger.touch("activations", 4 * self.T * self.H * FP32)
        self.ledger.give("activations", self.layer["norm"], self.row)

    def _attention_back(self) -> None:
        spec, shape = self.spec, self.shape
        one = max(spec.lengths)
        spread = self.T * (shape.queries + 2 * shape.keys) * self.d
        scores = 2 * shape.heads * one * one * self.d if self._kind(one) != "kernel" else 0
        self.ledger.touch("attention", scores + spread)
        self._give("attention")

    # ---- the head -----------------------------------------------------------------------------------------------

    def _head(self) -> None:
        ledger, spec, V = self.ledger, self.spec, self.shape.vocabulary
        final = self._norm_kept()
        ledger.take("activations", final, self.row)
        if spec.loss == "full" and spec.trained:  # no token is, where the head gives one score
            table = self.T * V
            ledger.take("logits", table * self.d)
            if self.d != FP32:
                ledger.take("logits", table * FP32)
            ledger.take("logits", table * FP32)  # log-softmax
            ledger.give("logits", table * self.d + (table * FP32 if self.d != FP32 else 0))
            ledger.touch("logits", 2 * table * FP32)  # the gradients of both
            ledger.give("logits", table * FP32)
            self._head_gradient()
        else:
            learned = spec.trained * self.H * self.d
            chunk = min(max(CHUNK_ELEMENTS // V, 1), max(spec.trained, 1))
            block = min(max(BLOCK_ELEMENTS // V, 1), chunk) if spec.device == "cpu" else chunk
            ledger.take("activations", learned)
            ledger.take("logits", learned, chunk * V * self.d)
            ledger.touch("logits", 2 * block * V * FP32)
            self._head_gradient(chunk * V * self.d)
            ledger.give("activations", learned)
            ledger.give("logits", learned)
        ledger.give("activations", final, self.row)

    def _head_gradient(self, logits: int = 0) -> None:
        """Compute the gradient of a head that is trained, and free the logits of a chunk."""
        table = self.shape.table_weights
        if "head" in self.tables:
            self.ledger.take("gradients", table * self.d)
        self.ledger.give("logits", logits)
        if "head" in self.tables and not self.shape.tied:
            self.ledger.give("gradients", table * self.d)
            self._weight_gradient(table)


def _part(place: str) -> str:
    return "attention" if place == "attention" else "activations"
