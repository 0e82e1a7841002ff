"""Chooses the device, the dtype, and the thread count with a probe. The first event records them."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import resource
import sys
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from interfaces.config import FineTuneConfig
from interfaces.control_groups import GROUPS, processor_shares
from interfaces.errors import FineTuneError
from interfaces.problems import Code, Problem
from interfaces.run_records import Machine

PROBE_ROUNDS = 25


@dataclass(frozen=True)
class Compute:
    """The result of the probe."""

    device: torch.device
    dtype: torch.dtype
    threads: int
    warnings: tuple[Problem, ...] = ()

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def choose_compute(config: FineTuneConfig, recorded: Machine | None = None) -> Compute:
    """Choose the device, dtype, and thread count of a run, and set torch's thread count.

    `recorded` is the choice of an earlier attempt of the same run, which later attempts must keep.

    Raises:
        FineTuneError: the device doesn't support training in the config's dtype.
    """
    see_one_card(config.device)
    device, warnings = _choose_device(config.device)
    earlier = recorded if recorded and recorded.device == str(device) else None
    threads = (earlier.threads if earlier else 0) or config.cpu_threads or fastest_threads(thread_counts())
    torch.set_num_threads(threads)
    if config.fp16 and device.type != "cuda":
        raise FineTuneError.of(Code.DTYPE_UNAVAILABLE, field="fp16", device=device.type)
    formats = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
    kept = formats.get(earlier.dtype) if earlier else None
    if kept is not None:
        dtype = kept
    elif config.fp16:
        dtype = torch.float16
    elif config.bf16 is True or (config.bf16 == "auto" and bf16_is_faster(device)):
        dtype = torch.bfloat16
    else:
        dtype = torch.float32
    return Compute(device, dtype, threads, tuple(warnings))


def thread_counts(groups: Path = GROUPS) -> list[int]:
    """Return the thread counts to try: the logical and the physical cores that this process may use.

    The CPU quota of a container counts too: it may see 64 cores and have the time of two.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = min([allowed, *processor_shares(groups)])
    return sorted({most, min(most, psutil.cpu_count(logical=False) or most)})


def fastest_threads(counts: list[int]) -> int:
    """Return the thread count with the fastest matrix product; if several are equal, the smallest."""
    if len(counts) == 1:
        return counts[0]
    best = dict.fromkeys(counts, math.inf)
    for _ in range(PROBE_ROUNDS):
        for count in counts:
            torch.set_num_threads(count)
            best[count] = min(best[count], _time_product(torch.float32))
    return min(count for count in counts if best[count] <= 1.03 * min(best.values()))


def see_one_card(wanted: str, environment: MutableMapping[str, str] = os.environ) -> None:
    """Make only one card visible, since the Trainer would replicate the model on several. Call it before using CUDA.

    The card's number is the driver's, among the cards that are visible to this process.
    """
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    seen = [name for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    index = int(wanted.partition(":")[2] or 0)
    environment["CUDA_VISIBLE_DEVICES"] = seen[index] if index < len(seen) else str(index) if not seen else ""


def _choose_device(wanted: str) -> tuple[torch.device, list[Problem]]:
    """
    Raises:
        FineTuneError: the config's device doesn't exist.
    """
    kind = wanted.partition(":")[0]
    there = {"auto": True, "cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[kind]:
        raise FineTuneError.of(
            Code.VALUE_INVALID,
            field="device",
            value=repr(wanted),
            expected="usable_device",
        )
    if kind in ("cpu", "mps"):
        return torch.device(kind), []
    if torch.cuda.is_available():
        try:
            torch.zeros(1, device="cuda")
            return torch.device("cuda", torch.cuda.current_device()), []
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            return torch.device("cpu"), [Problem.warning(Code.DEVICE_NOT_USED, device="CUDA", reason=reason)]
    if torch.backends.mps.is_available():
        return torch.device("mps"), []
    return torch.device("cpu"), []


def bf16_is_faster(device: torch.device) -> bool:
    """Return whether bfloat16 is faster: as the card reports on a GPU, by timing a matrix product on a CPU."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "mps":
        return False
    # Alternate, so that other programs slow both down equally. The best of many rounds is the machine's real speed.
    rounds = [(_time_product(torch.float32), _time_product(torch.bfloat16)) for _ in range(PROBE_ROUNDS)]
    return min(bf16 for _, bf16 in rounds[1:]) < 0.8 * min(fp32 for fp32, _ in rounds[1:])


def _time_product(dtype: torch.dtype) -> float:
    """Time one matrix product of a typical shape (512 tokens, a 576 x 1536 layer), in seconds."""
    left, right = torch.ones(512, 576, dtype=dtype), torch.ones(1536, 576, dtype=dtype)
    start = time.perf_counter()
    torch.nn.functional.linear(left, right)
    return time.perf_counter() - start


def memory_bytes(device: torch.device) -> int:
    """Return the current memory: allocated on a GPU, the process's resident set on a CPU."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.current_allocated_memory()
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_memory_bytes(device)


def peak_memory_bytes(device: torch.device) -> int:
    """Return the peak memory: of the allocator on a GPU, of the process's resident set on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def hardware_name(device: torch.device) -> str:
    """Return the name of the GPU, or of the processor with its cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {os.cpu_count()} cores"
