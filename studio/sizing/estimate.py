"""Will it fit: the memory, disk and time of one run, from its settings, the model's shape and the data's lengths.

Pure arithmetic, in microseconds: weights and adapter as they are stored (`weights_bytes`, `adapter_bytes`), optimizer state
by kind, and the worst moment of a training step as `studio/sizing/step_memory.py` plays it. docs/estimate.md has the formulas with
their sources and how far they were off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from interfaces.config import FineTuneConfig
from interfaces.device import Device
from interfaces.problems import Changes
from interfaces.run_config import Settings
from studio.models.architecture import STORED_BYTES, Architecture, Linear
from studio.sizing.batch_lengths import Lengths, trained_in, worst_batch
from studio.sizing.records import DeviceMemory, EstimateRecord, FitLevel, Loss
from studio.sizing.step_memory import FP32, Ledger, StepSpec, simulate_step

COMFORTABLE = 0.9
"""The share of the free memory up to which a run fits: the rest is for what else the machine does meanwhile."""
PROCESS_BYTES = {"cpu": 800_000_000, "cuda": 500_000_000, "mps": 500_000_000}
"""Python with its libraries on the CPU, and what they keep for each shape of batch they have met; the driver's context and the libraries' workspaces on a GPU."""
HOST_BYTES = 3_000_000_000
"""Memory of the machine itself that a run on a GPU takes: Python, CUDA's libraries, weights on their way."""
GAPS = {"cpu": 0.5, "cuda": 0.06, "mps": 0.1}
"""What the allocator holds beyond a step's tensors, as a share of them: gaps between blocks."""
GAPS_RECOMPUTED = 0.5
"""On a CPU most of what recomputing saves stays as gaps in the C library's heap: the share of it that does."""
MAPPED_BYTES = 1 << 25
NARROW_GAPS = 0.75
"""The share of a CPU's gaps between tensors as wide as the model; the others are as wide as its MLP."""
PARTS = (
    "weights", "file", "adapter", "gradients", "optimizer", "activations", "attention", "logits", "dequantized", "fragmentation", "process",
)  # fmt: skip
"""What memory is for, in the order in which it is shown."""
NF4_BLOCK, NESTED_BLOCK = 64, 256
MATRICES = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
_QKV = {"q_proj", "k_proj", "v_proj"}
FUSED = {
    "qkv_proj": _QKV, "c_attn": _QKV, "query_key_value": _QKV, "W_pack": _QKV, "Wqkv": _QKV, "gate_up_proj": {"gate_proj", "up_proj"},
    "c_proj": {"o_proj", "down_proj"}, "dense": {"o_proj"}, "out_proj": {"o_proj"}, "c_fc": {"up_proj"}, "fc1": {"up_proj"}, "fc2": {"down_proj"},
    "dense_h_to_4h": {"up_proj"}, "dense_4h_to_h": {"down_proj"}, "w1": {"gate_proj"}, "w2": {"down_proj"}, "w3": {"up_proj"},
}  # fmt: skip
"""What other families call these matrices, or several of them in one."""
OPTIMIZER_BYTES = {
    "adamw_torch_fused": 2 * FP32, "adamw_torch": 2 * FP32, "adamw_8bit": 2, "paged_adamw_8bit": 2, "sgd": 0, "adafactor": 0,
}  # fmt: skip
"""State bytes a trained parameter, with weights in 32 bits."""


@dataclass(frozen=True)
class Estimate:
    """What a run needs at its worst moment, in bytes. `parts` add up to `total_bytes`, on `device`."""

    parts: dict[str, int]
    device: Device
    lengths: tuple[int, ...]
    """Tokens of each row of the largest batch that is to be expected."""
    host_bytes: int
    disk_bytes: int
    steps: int | None = None
    seconds: tuple[float, float] | None = None
    """From and to, as far as this machine's speed has been seen to vary."""

    @property
    def total_bytes(self) -> int:
        return sum(self.parts.values())

    @property
    def tensor_bytes(self) -> int:
        """Without what isn't a tensor: the process, and gaps between blocks."""
        return sum(size for part, size in self.parts.items() if part not in ("process", "fragmentation", "file"))

    @property
    def verdict(self) -> FitLevel:
        free = self.device.free_memory_bytes
        if self.total_bytes <= COMFORTABLE * free:
            return "fits"
        return "tight" if self.total_bytes <= free else "too_big"

    def to_record(self) -> EstimateRecord:
        return EstimateRecord(
            bytes={part: self.parts[part] for part in PARTS if part in self.parts}, total_bytes=self.total_bytes,
            verdict=self.verdict, seconds=self.seconds, steps=self.steps, tensor_bytes=self.tensor_bytes,
            host_bytes=self.host_bytes, disk_bytes=self.disk_bytes, batch_tokens=sum(self.lengths),
            device=DeviceMemory.of(self.device),
        )  # fmt: skip


def estimate(
    shape: Architecture, config: FineTuneConfig, device: Device, lengths: Lengths | None = None, loss: Loss = "trained",
    correction: float = 1.0,
) -> Estimate:  # fmt: skip
    """The memory of a run with `config` on `device`. Without `lengths` each row is taken as long as `max_length`.

    `correction` is what this machine's finished runs have taught: the measured peak divided by the estimated one.
    """
    rows = worst_batch(config, lengths, padded=loss == "full")
    spec = step_spec(config, device, rows, lengths, loss)
    ledger = simulate_step(shape, spec)
    fixed = {
        "weights": weights_bytes(shape, spec),
        "adapter": adapter_bytes(shape, spec),
        "optimizer": optimizer_bytes(shape, spec, config.optim),
    }
    parts = {**fixed, **{part: size for part, size in sorted(ledger.at_peak.items()) if size > 0}}
    parts["fragmentation"] = _gaps(shape, spec, ledger)
    parts["process"] = PROCESS_BYTES[device.kind]
    if device.kind == "cpu":
        parts["file"] = _file_held(shape, spec, sum(parts.values()))
    parts = {part: int(size * correction) for part, size in parts.items()}
    needed = sum(parts.values())
    host = needed if device.kind != "cuda" else HOST_BYTES
    return Estimate(parts, device, rows, host, disk_bytes(shape, spec, config))


def _gaps(shape: Architecture, spec: StepSpec, ledger: Ledger) -> int:
    """On a CPU tensors above 32 MB are mapped one by one (mallopt(3), M_MMAP_THRESHOLD) and leave no gaps: logits are."""
    if spec.device != "cpu":
        return int(GAPS[spec.device] * ledger.peak)

    def in_heap(played: Ledger) -> int:
        return played.peak - played.at_peak["logits"]

    gaps = GAPS["cpu"] * in_heap(ledger)
    if spec.checkpointing:
        remembered = simulate_step(shape, replace(spec, checkpointing=False))
        gaps += GAPS_RECOMPUTED * max(in_heap(remembered) - in_heap(ledger), 0)
    hidden, intermediate = spec.tokens * shape.hidden * FP32, spec.tokens * shape.intermediate * spec.width
    return int(gaps * (NARROW_GAPS * (hidden < MAPPED_BYTES) + (1 - NARROW_GAPS) * (intermediate < MAPPED_BYTES)))


def _file_held(shape: Architecture, spec: StepSpec, needed: int) -> int:
    """The weights' file in memory beside what is made of it: for good where parts of it are used as they are stored.

    A quantized model keeps its table so, and with it the whole file; one in another number format only while it loads.
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
    """How a batch of these rows goes through the model with these settings."""
    half = config.fp16 or config.bf16 is True or (config.bf16 == "auto" and device.bf16)
    lora = config.lora
    lies = tuple([max(rows)] * len(rows)) if loss == "full" else rows
    return StepSpec(
        lengths=lies, trained=trained_in(rows, lengths), width=2 if half else FP32,
        adapter_width=2 if half and not lora.autocast_adapter_dtype else FP32,
        rank=lora.r, targets=targets_of(lora.target_modules),
        bits=4 if config.load_in_4bit else 8 if config.load_in_8bit else 16, dropout=lora.lora_dropout > 0, dora=lora.use_dora,
        checkpointing=config.gradient_checkpointing is True, loss=loss, device=device.kind, masked=loss == "full" and len(set(rows)) > 1,
        accumulates=config.gradient_accumulation_steps > 1, autocast=config.fp16,
    )  # fmt: skip


def targets_of(names: str | list[str]) -> frozenset[str] | None:
    """Names of matrices with an adapter as this module calls them; None for all, and where a name is of no known family."""
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
    """The base model as it lies in memory.

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


def adapter_parameters(shape: Architecture, spec: StepSpec) -> int:
    """r (inputs + outputs) for each matrix with an adapter (Hu et al. 2021, arXiv:2106.09685, section 4.1)."""
    adapted = [linear for linear in shape.linears() if spec.has_adapter(linear)]
    magnitudes = sum(linear.outputs for linear in adapted) if spec.dora else 0
    return shape.layers * (spec.rank * sum(linear.inputs + linear.outputs for linear in adapted) + magnitudes)


def adapter_bytes(shape: Architecture, spec: StepSpec) -> int:
    return adapter_parameters(shape, spec) * spec.adapter_width


def optimizer_bytes(shape: Architecture, spec: StepSpec, optim: str) -> int:
    """Its state: two moments for AdamW, in the adapter's own format or in 8 bits; none or next to none for others."""
    of_one = OPTIMIZER_BYTES[optim]
    if optim.startswith("adamw_torch"):
        of_one = 2 * spec.adapter_width
    return adapter_parameters(shape, spec) * of_one


def disk_bytes(shape: Architecture, spec: StepSpec, config: FineTuneConfig) -> int:
    """Checkpoints that are kept, the best, one in the making, and the result; each adapter and moments in 32 bits."""
    return (config.save_total_limit + 3) * 12 * adapter_parameters(shape, spec)


def with_changes(config: FineTuneConfig, changes: Changes) -> FineTuneConfig:
    """A copy with some fields set; `lora.r` reaches inside."""
    lora = {key.removeprefix("lora."): value for key, value in changes.items() if key.startswith("lora.")}
    outer = {key: value for key, value in changes.items() if "." not in key}
    return config.model_copy(update={**outer, **({"lora": config.lora.model_copy(update=lora)} if lora else {})})


def changed(config: Settings, changes: Changes) -> Settings:
    """As `with_changes`, of a config as it is stored."""
    return with_changes(FineTuneConfig.model_validate(config), changes).model_dump(exclude={"output_dir"})
