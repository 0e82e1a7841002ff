"""Detects the devices of this machine without torch: NVML for NVIDIA cards, psutil for the rest."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import psutil

from interfaces.control_groups import kernel_number, memory_limits
from interfaces.device import GIB, Device
from interfaces.errors import FineTuneError
from interfaces.problems import Code
from studio.sizing.records import DeviceMemory

T = TypeVar("T")
CARDS = {
    "rtx_3050": ("NVIDIA GeForce RTX 3050", 8), "rtx_3060": ("NVIDIA GeForce RTX 3060", 12), "rtx_3070": ("NVIDIA GeForce RTX 3070", 8),
    "rtx_3080": ("NVIDIA GeForce RTX 3080", 10), "rtx_3090": ("NVIDIA GeForce RTX 3090", 24), "rtx_4060": ("NVIDIA GeForce RTX 4060", 8),
    "rtx_4060_ti": ("NVIDIA GeForce RTX 4060 Ti", 16), "rtx_4070": ("NVIDIA GeForce RTX 4070", 12), "rtx_4080": ("NVIDIA GeForce RTX 4080", 16),
    "rtx_4090": ("NVIDIA GeForce RTX 4090", 24), "rtx_5060_ti": ("NVIDIA GeForce RTX 5060 Ti", 16), "rtx_5070": ("NVIDIA GeForce RTX 5070", 12),
    "rtx_5080": ("NVIDIA GeForce RTX 5080", 16), "rtx_5090": ("NVIDIA GeForce RTX 5090", 32), "t4": ("NVIDIA T4", 16), "l4": ("NVIDIA L4", 24),
    "a10": ("NVIDIA A10", 24), "a100": ("NVIDIA A100", 40), "a100_80gb": ("NVIDIA A100 80GB", 80), "h100": ("NVIDIA H100", 80),
}  # fmt: skip
"""Cards by name, with their nominal memory in GiB, for estimates for other machines."""
REPORTED_SHARE = 0.97
"""Cards report slightly less than their nominal memory."""
WITHOUT_BF16 = {"t4"}


def detect_devices() -> list[Device]:
    """Return every device that could train a model, best first. The CPU is always last."""
    return [*_nvidia(), *_amd(), *_apple(), _cpu()]


def chosen_device(wanted: str, devices: list[Device]) -> Device:
    """Return the device that a config's `device` selects, or the usable one if it is missing; the run reports that."""
    kind, _, index = wanted.partition(":")
    found = [device for device in devices if device.kind == kind and (not index or device.index == int(index))]
    return found[0] if found else usable_device(devices)


class DeviceStatus(DeviceMemory):
    """A device as it is now. `used` is the one that runs are trained on, `processes` count other programs on it."""

    index: int
    busy_percent: float | None
    """None where that can't be asked."""
    used: bool
    processes: int


def devices_now() -> list[DeviceStatus]:
    """Return every device with its memory and its utilization."""
    devices = detect_devices()
    used = usable_device(devices)
    return [
        DeviceStatus.of(device, index=device.index, busy_percent=_busy(device), used=device == used, processes=_processes(device))
        for device in devices
    ]  # fmt: skip


def _busy(device: Device) -> float | None:
    if device.kind == "cpu":
        return psutil.cpu_percent(interval=None)  # since the last time it was asked
    if device.kind == "cuda":
        return _asked_of_card(
            device, lambda pynvml, handle: float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu), None
        )
    return None


def _processes(device: Device) -> int:
    """Return how many compute processes use a card."""
    if device.kind != "cuda":
        return 0
    return _asked_of_card(device, lambda pynvml, handle: len(pynvml.nvmlDeviceGetComputeRunningProcesses(handle)), 0)


def _asked_of_card(device: Device, question: Callable[[Any, Any], T], unknown: T) -> T:
    import pynvml

    try:
        pynvml.nvmlInit()
        return question(pynvml, pynvml.nvmlDeviceGetHandleByIndex(device.index))
    except pynvml.NVMLError:
        return unknown


def usable_device(devices: list[Device]) -> Device:
    """Return the first device that the installed torch can use. A CPU build of torch can't use any card."""
    return next(device for device in devices if device.kind != "cuda" or not torch_is_cpu_build())


def named_device(text: str) -> Device:
    """Return a device by name: 'detected', 'cpu', a card (rtx_3060), or a card's memory (24GB).

    Raises:
        FineTuneError: the name is unknown.
    """
    name = text.strip().lower().replace(" ", "_").replace("-", "_").removeprefix("nvidia_").removeprefix("geforce_")
    if name == "detected":
        return usable_device(detect_devices())
    if name == "cpu":
        return detect_devices()[-1]
    if name in CARDS:
        title, memory = CARDS[name]
        return _card(title, memory, bf16=name not in WITHOUT_BF16)
    amount = name.removesuffix("gib").removesuffix("gb").removesuffix("g").rstrip("_")
    if amount != name and amount.replace(".", "", 1).isdigit() and 0 < float(amount) < 10_000:
        return _card(f"a {float(amount):g} GiB GPU", float(amount), bf16=True)
    raise FineTuneError.of(Code.DEVICE_UNKNOWN, value=text, known=", ".join(sorted(CARDS)))


def _card(name: str, memory: float, bf16: bool) -> Device:
    size = int(memory * GIB * REPORTED_SHARE)
    return Device("cuda", name, size, size, bf16=bf16)


def torch_is_cpu_build() -> bool:
    """Return whether the installed torch lacks CUDA, by its version's suffix. True without torch."""
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


def _amd(cards: Path = Path("/sys/class/drm")) -> list[Device]:
    """Return AMD cards, as reported by the Linux driver. torch's ROCm builds call them cuda too."""
    found: list[Device] = []
    for place in sorted(cards.glob("card[0-9]*/device")):
        total, used = (kernel_number(place / f"mem_info_vram_{name}") for name in ("total", "used"))
        if total and used is not None:
            name = "AMD GPU"
            with contextlib.suppress(OSError):
                name = (place / "product_name").read_text(encoding="utf-8").strip() or name
            found.append(Device("cuda", name, total, total - used, len(found), bf16=True))
    return found


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
    total, free = memory.total, memory.available
    for limit, used in memory_limits():
        total, free = min(total, limit), min(free, max(limit - used, 0))
    return Device("cpu", f"{name}, {cores} cores", total, free, bf16=bf16)


def _processor() -> tuple[str, set[str]]:
    """Return the CPU's name and its instruction sets from /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine(), set()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    return facts.get("model name", platform.machine()), set(facts.get("flags", "").split())
