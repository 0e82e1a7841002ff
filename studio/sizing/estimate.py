"""Estimates the memory, disk space, and time of a run from its settings, the model's architecture, and the row lengths.

Pure arithmetic, in microseconds: the stored weights and adapter (`weights_bytes`, `adapter_bytes`), the optimizer
state, and the peak of a training step that `studio/sizing/step_memory.py` simulates. docs/estimate.md has the formulas,
their sources, and their measured errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from interfaces.config import FineTuneConfig, method_of
from interfaces.device import Device
from interfaces.dotted_names import with_changes
from interfaces.kernel_sizes import OPTIMIZER_BYTES, checkpoint_bytes
from interfaces.lora_settings import LoraSettings
from interfaces.problems import Changes
from interfaces.run_config import Settings
from studio.models.architecture import STORED_BYTES, Architecture, Linear
from studio.sizing.batch_lengths import Lengths, trained_in, worst_batch
from studio.sizing.records import DeviceMemory, EstimateRecord, FitLevel, Loss
from studio.sizing.step_memory import FP32, Ledger, StepSpec, simulate_step

COMFORTABLE = 0.9
"""The share of the free memory that a run may use and still fit. The rest is for other programs."""
PROCESS_BYTES = {"cpu": 800_000_000, "cuda": 500_000_000, "mps": 500_000_000}
"""CPU: Python, its libraries, and their caches per batch shape. GPU: driver context and library workspaces."""
HOST_BYTES = 3_000_000_000
"""Host memory that a run on a GPU needs: Python, CUDA libraries, and weights in transit."""
GAPS = {"cpu": 0.5, "cuda": 0.06, "mps": 0.1}
"""Fragmentation: the allocator's overhead beyond a step's tensors, as a share of them."""
GAPS_RECOMPUTED = 0.5
"""The share of the memory saved by recomputation that stays as fragmentation in the C library's heap on a CPU."""
GAPS_OF_GRADIENTS = 0.4
"""Fragmentation between the gradients of all layers' weights on a CPU, as a share of them: measured (docs/estimate.md)."""
MAPPED_BYTES = 1 << 25
NARROW_GAPS = 0.75
"""The share of a CPU's fragmentation between tensors of the hidden size; the rest is between those of the MLP."""
PARTS = (
    "weights", "file", "master_weights", "reference", "adapter", "gradients", "optimizer", "activations", "attention", "logits", "dequantized", "fragmentation", "process",
)  # fmt: skip
"""The parts of the memory, in display order."""
TABLES = {"embeddings": {"embed_tokens", "wte", "embed_in", "word_embeddings"}, "head": {"lm_head", "embed_out"}}
"""The names of embeddings and head in models."""
BITSANDBYTES = ("adamw_8bit", "paged_adamw_8bit")
NF4_BLOCK, NESTED_BLOCK = 64, 256
MATRICES = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
_QKV = {"q_proj", "k_proj", "v_proj"}
FUSED = {
    "qkv_proj": _QKV, "c_attn": _QKV, "query_key_value": _QKV, "W_pack": _QKV, "Wqkv": _QKV, "gate_up_proj": {"gate_proj", "up_proj"},
    "c_proj": {"o_proj", "down_proj"}, "dense": {"o_proj"}, "out_proj": {"o_proj"}, "c_fc": {"up_proj"}, "fc1": {"up_proj"}, "fc2": {"down_proj"},
    "dense_h_to_4h": {"up_proj"}, "dense_4h_to_h": {"down_proj"}, "w1": {"gate_proj"}, "w2": {"down_proj"}, "w3": {"up_proj"},
}  # fmt: skip
"""Other families' names for these matrices, including fused ones."""


@dataclass(frozen=True)
class Estimate:
    """The peak memory of a run in bytes. `parts` add up to `total_bytes`, on `device`."""

    parts: dict[str, int]
    device: Device
    lengths: tuple[int, ...]
    """Tokens of each row in the expected largest batch."""
    host_bytes: int
    disk_bytes: int
    steps: int | None = None
    seconds: tuple[float, float] | None = None
    """The range of the duration, from the observed variation of this machine's speed."""

    @property
    def total_bytes(self) -> int:
        return sum(self.parts.values())

    @property
    def tensor_bytes(self) -> int:
        """The total without the parts that aren't tensors, such as the process and fragmentation."""
        return sum(size for part, size in self.parts.items() if part not in ("process", "fragmentation", "file"))

    @property
    def fit_level(self) -> FitLevel:
        free = self.device.free_memory_bytes
        if self.total_bytes <= COMFORTABLE * free:
            return "fits"
        return "tight" if self.total_bytes <= free else "too_big"

    def to_record(self) -> EstimateRecord:
        return EstimateRecord(
            bytes={part: self.parts[part] for part in PARTS if part in self.parts}, total_bytes=self.total_bytes,
            fit_level=self.fit_level, seconds=self.seconds, steps=self.steps, tensor_bytes=self.tensor_bytes,
            host_bytes=self.host_bytes, disk_bytes=self.disk_bytes, batch_tokens=sum(self.lengths),
            device=DeviceMemory.of(self.device),
        )  # fmt: skip


def estimate(
    shape: Architecture, config: FineTuneConfig, device: Device, lengths: Lengths | None = None, loss: Loss = "trained",
    correction: float = 1.0,
) -> Estimate:  # fmt: skip
    """Estimate the memory of a run with `config` on `device`. Without `lengths`, every row has `max_length` tokens.

    `correction` is the ratio of measured to estimated peaks in this machine's finished runs.
    """
    rows = worst_batch(config, lengths, padded=loss == "full")
    spec = step_spec(config, device, rows, lengths, loss)
    ledger = simulate_step(shape, spec)
    fixed = {"weights": weights_bytes(shape, spec), "optimizer": optimizer_bytes(shape, spec, config)}
    if spec.full:
        if keeps_masters(config, spec):
            fixed["master_weights"] = shape.parameters * FP32
        if method_of(config).reference:
            fixed["reference"] = fixed["weights"]
    else:
        fixed["adapter"] = adapter_bytes(shape, spec) * (2 if keeps_first_adapter(config) else 1)
        if spec.tables:
            saved = saved_weights(shape, spec)
            fixed["adapter"] += saved * spec.width
            fixed["optimizer"] += saved * OPTIMIZER_BYTES.get(config.optim, 2 * spec.gradient_width)
            if keeps_masters(config, spec):
                fixed["master_weights"] = saved * FP32
    parts = {**fixed, **{part: size for part, size in sorted(ledger.at_peak.items()) if size > 0}}
    parts["fragmentation"] = _gaps(shape, spec, ledger)
    parts["process"] = PROCESS_BYTES[device.kind]
    if device.kind == "cpu":
        parts["file"] = _file_held(shape, spec, sum(parts.values()))
    parts = {part: int(size * correction) for part, size in parts.items()}
    needed = sum(parts.values())
    host = needed if device.kind != "cuda" else HOST_BYTES
    return Estimate(parts, device, rows, host, disk_bytes(shape, spec, config))


def keeps_first_adapter(config: FineTuneConfig) -> bool:
    """Return whether the first weights of the adapter stay in memory: as the reference, or to save what has changed."""
    return bool(config.adapter_name_or_path and method_of(config).reference) or takes_out(config)


def takes_out(config: FineTuneConfig) -> bool:
    """Return whether the adapter begins with a part of the base's weights, so that it is stored with twice the rank."""
    return config.tuning == "lora" and config.lora.init_lora_weights == "pissa"


def keeps_masters(config: FineTuneConfig, spec: StepSpec) -> bool:
    """Return whether the optimizer updates 32-bit copies of the weights."""
    return bool(spec.full or spec.tables) and spec.width == 2 and config.master_weights


def _gaps(shape: Architecture, spec: StepSpec, ledger: Ledger) -> int:
    """Estimate fragmentation. On a CPU, tensors above 32 MB are mapped separately and cause none (mallopt(3))."""
    if spec.device != "cpu":
        return int(GAPS[spec.device] * ledger.peak)

    def in_heap(played: Ledger) -> int:
        return played.peak - played.at_peak["logits"] - (played.at_peak["gradients"] if spec.full else 0)

    gaps = GAPS["cpu"] * in_heap(ledger)
    if spec.checkpointing:
        remembered = simulate_step(shape, replace(spec, checkpointing=False))
        gaps += GAPS_RECOMPUTED * max(in_heap(remembered) - in_heap(ledger), 0)
    beside = int(GAPS_OF_GRADIENTS * shape.linear_weights * spec.gradient_width) if spec.full else 0
    hidden, intermediate = spec.tokens * shape.hidden * FP32, spec.tokens * shape.intermediate * spec.width
    return beside + int(
        gaps * (NARROW_GAPS * (hidden < MAPPED_BYTES) + (1 - NARROW_GAPS) * (intermediate < MAPPED_BYTES))
    )


def _file_held(shape: Architecture, spec: StepSpec, needed: int) -> int:
    """Return the memory of the mapped weights file, which stays mapped if parts of it are used without conversion.

    A quantized model uses the embeddings from the file and so keeps all of it; a converted model only while it loads.
    """
    stored = shape.parameters * STORED_BYTES.get(shape.stored, 2)
    if spec.bits != 16:
        return stored
    if spec.width == STORED_BYTES.get(shape.stored, 2):
        return 0
    return max(PROCESS_BYTES["cpu"] + weights_bytes(shape, spec) + stored - needed, 0)


def step_spec(
    config: FineTuneConfig, device: Device, rows: tuple[int, ...], lengths: Lengths | None, loss: Loss
) -> StepSpec:
    """Describe how a batch of these rows passes through the model with these settings."""
    half = config.fp16 or config.bf16 is True or (config.bf16 == "auto" and device.bf16)
    full = config.tuning == "full"
    lora = LoraSettings() if full else config.lora
    lies = tuple([max(rows)] * len(rows)) if loss == "full" else rows
    return StepSpec(
        lengths=lies, trained=trained_in(config, rows, lengths), width=2 if half else FP32,
        adapter_width=2 if half and not lora.autocast_adapter_dtype else FP32,
        rank=lora.r, ranks=ranks_of(lora.rank_pattern), layers=tuple(lora.layers_to_transform), targets=targets_of(lora.target_modules),
        bits=4 if config.load_in_4bit else 8 if config.load_in_8bit else 16, dropout=lora.lora_dropout > 0, dora=lora.use_dora,
        checkpointing=config.gradient_checkpointing is True, loss=loss, device=device.kind, masked=loss == "full" and len(set(rows)) > 1,
        accumulates=config.gradient_accumulation_steps > 1, autocast=config.fp16,
        full=full, tables=frozenset(TABLES) if full else tables_of(lora.modules_to_save), gradient_width=2 if half and not config.master_weights else FP32,
    )  # fmt: skip


def tables_of(names: Sequence[str]) -> frozenset[str]:
    """Return which of embeddings and head these layers are."""
    last = {name.rsplit(".", 1)[-1] for name in names}
    return frozenset(table for table, known in TABLES.items() if known & last)


def ranks_of(pattern: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Return the ranks of a pattern by this module's names of matrices; names of single layers don't count."""
    found: dict[str, int] = {}
    for name, rank in pattern.items():
        found |= dict.fromkeys({name} & MATRICES or FUSED.get(name, set()), rank)
    return tuple(sorted(found.items()))


def targets_of(names: str | list[str]) -> frozenset[str] | None:
    """Return the adapted matrices by this module's names; None for all of them, or if a name is unknown."""
    if isinstance(names, str):
        return None
    found: set[str] = set()
    for name in names:
        last = name.rsplit(".", 1)[-1]
        if last not in MATRICES and last not in FUSED:
            return None
        found |= FUSED.get(last, {last})
    return frozenset(found)


def weights_bytes(shape: Architecture, spec: StepSpec) -> int:
    """Return the size of the base model in memory.

    Quantized are the matrices inside the layers, not the head and the table (transformers' `llm_int8_skip_modules`).
    8 bits: a byte a weight and a 32-bit scale a row (LLM.int8, Dettmers et al. 2022, arXiv:2208.07339). 4 bits: half a
    byte, a byte for each block of 64, 4 bytes for each 256 blocks (QLoRA, arXiv:2305.14314, section 3), and two tables.
    """
    outside = (shape.small_weights + shape.table_weights * (1 if shape.tied else 2)) * spec.width
    if spec.bits == 16:
        return outside + shape.linear_weights * spec.width
    return outside + shape.layers * sum(_quantized_bytes(linear, spec.bits) for linear in shape.linears())


def _quantized_bytes(linear: Linear, bits: int) -> int:
    if bits == 8:
        return linear.weights + linear.outputs * FP32
    blocks = math.ceil(linear.weights / NF4_BLOCK)
    return math.ceil(linear.weights / 2) + blocks + math.ceil(blocks / NESTED_BLOCK) * FP32 + (256 + 16 + 1) * FP32


def trained_parameters(shape: Architecture, spec: StepSpec) -> int:
    """All of them, or r (inputs + outputs) for each matrix with an adapter (Hu et al. 2021, arXiv:2106.09685, 4.1)."""
    if spec.full:
        return shape.parameters
    adapted = [linear for linear in shape.linears() if spec.has_adapter(linear)]
    magnitudes = sum(linear.outputs for linear in adapted) if spec.dora else 0
    return spec.adapted_layers(shape) * (
        sum(spec.rank_of(linear) * (linear.inputs + linear.outputs) for linear in adapted) + magnitudes
    )


def saved_weights(shape: Architecture, spec: StepSpec) -> int:
    """Return how many weights are trained as a whole beside an adapter: one table or two."""
    return shape.table_weights * min(len(spec.tables), 1 if shape.tied else 2)


def adapter_bytes(shape: Architecture, spec: StepSpec) -> int:
    return trained_parameters(shape, spec) * spec.adapter_width


def optimizer_bytes(shape: Architecture, spec: StepSpec, config: FineTuneConfig) -> int:
    """Return the optimizer state's size: two moments for AdamW, in the weights' format or 8 bits; else almost none."""
    width = spec.gradient_width if spec.full else spec.adapter_width
    of_one = OPTIMIZER_BYTES.get(config.optim, 2 * width)
    if config.optim in BITSANDBYTES and spec.full:  # transformers keeps the moments of embeddings in 32 bits
        return (shape.parameters - shape.table_weights) * of_one + shape.table_weights * 2 * FP32
    return trained_parameters(shape, spec) * of_one


def disk_bytes(shape: Architecture, spec: StepSpec, config: FineTuneConfig) -> int:
    """Return the disk space for kept checkpoints, the best one, one being written, and the result."""
    of_one = checkpoint_bytes(config, spec.gradient_width) if spec.full else 16 if takes_out(config) else 12
    saved = 0 if spec.full else saved_weights(shape, spec) * (2 if shape.tied else 1)  # PEFT stores a tied table twice
    return (config.save_total_limit + 3) * of_one * (trained_parameters(shape, spec) + saved)


def changed(config: Settings, changes: Changes) -> Settings:
    """Apply changes like `with_changes` to a stored config."""
    return with_changes(FineTuneConfig.model_validate(config), changes).model_dump(exclude={"output_dir"})
