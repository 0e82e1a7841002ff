"""What this machine has, found out without torch: NVML for NVIDIA cards, psutil for the rest."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

import psutil

from interfaces.device import Device


def detect_devices() -> list[Device]:
    """Every device that a model could be trained on, best first; the CPU is always the last."""
    return [*_nvidia(), *_apple(), _cpu()]


def usable_device(devices: list[Device]) -> Device:
    """The first that the installed torch can use: a CPU build of torch sees no card."""
    return next(device for device in devices if device.kind != "cuda" or not torch_is_cpu_build())


def torch_is_cpu_build() -> bool:
    """Whether the installed torch has no CUDA in it, by its version's suffix; true without torch."""
    try:
        return metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return True


def _nvidia() -> list[Device]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_nvidia_device(index) for index in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()


def _nvidia_device(index: int) -> Device:
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    name = pynvml.nvmlDeviceGetName(handle)
    major, _ = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    text = name.decode() if isinstance(name, bytes) else str(name)
    return Device("cuda", text, int(memory.total), int(memory.free), index, bf16=major >= 8)


def _apple() -> list[Device]:
    if (platform.system(), platform.machine()) != ("Darwin", "arm64"):
        return []
    memory = psutil.virtual_memory()
    return [Device("mps", "Apple GPU", memory.total, memory.available)]


def _cpu() -> Device:
    memory = psutil.virtual_memory()
    name, flags = _processor()
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    bf16 = bool({"avx512_bf16", "amx_bf16"} & flags)
    return Device("cpu", f"{name}, {cores} cores", memory.total, memory.available, bf16=bf16)


def _processor() -> tuple[str, set[str]]:
    """The processor's name and its instruction sets, as /proc/cpuinfo tells them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine(), set()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    return facts.get("model name", platform.machine()), set(facts.get("flags", "").split())
