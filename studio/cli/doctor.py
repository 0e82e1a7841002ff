"""Describes this machine and the problems that would prevent a run. Reads versions without importing the packages."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import psutil
from pydantic import BaseModel

from interfaces.device import Device
from interfaces.disk import free_bytes
from interfaces.folders import Home
from interfaces.presets import PresetConfigs
from studio.processes.warm_trainer import WarmTrainerState, warm_trainer_state
from studio.sizing.calibration import calibration_of
from studio.sizing.devices import detect_devices, torch_is_cpu_build, usable_device
from studio.sizing.records import DeviceMemory

PACKAGES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "huggingface_hub", "pydantic")
LEAST_FREE_BYTES = 2_000_000_000
LEAST_MEMORY_BYTES = 7_000_000_000


class DoctorDevice(DeviceMemory):
    used: bool
    """Whether runs are trained on it."""


class FreeMemory(BaseModel):
    total_bytes: int
    available_bytes: int


class EstimateError(BaseModel):
    """The median relative error of memory estimates over finished runs, and the factor that corrects them."""

    runs: int
    error: float | None
    correction: float


class Examination(BaseModel):
    """The output of `finetune doctor --json`; `hindrances` are sentences, empty on a healthy machine."""

    schema_version: int = 1
    python: str
    system: str
    versions: dict[str, str | None]
    devices: list[DoctorDevice]
    preset: str
    memory: FreeMemory
    home: str
    disk_free_bytes: int
    starter: bool
    warm_trainer: WarmTrainerState
    estimates: EstimateError
    hub_endpoint: str
    hindrances: list[str]


def examine(home: Home) -> Examination:
    """Versions, devices, memory, disk, environment, and what would hinder a run."""
    devices = detect_devices()
    usable = usable_device(devices)
    memory = psutil.virtual_memory()
    return Examination(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions={package: _version(package) for package in ("finetune-studio", *PACKAGES)},
        devices=[DoctorDevice.of(device, used=device == usable) for device in devices],
        preset=PresetConfigs.name_for_device(usable),
        memory=FreeMemory(total_bytes=memory.total, available_bytes=memory.available),
        home=str(home.path),
        disk_free_bytes=free_bytes(home.path),
        starter=home.has_starter(),
        warm_trainer=warm_trainer_state(home),
        estimates=_estimates(home, usable),
        hub_endpoint=os.environ.get("HF_ENDPOINT", "https://huggingface.co"),
        hindrances=_hindrances(home, memory.available),
    )


def _estimates(home: Home, device: Device) -> EstimateError:
    calibration = calibration_of(home)
    error = calibration.error()
    return EstimateError(
        runs=len(calibration.finished),
        error=None if error is None else round(error, 4),
        correction=round(calibration.correction(device), 4),
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _hindrances(home: Home, available_memory: int) -> list[str]:
    found = [
        f"{package} is not installed: run 'make setup'."
        for package in ("torch", "transformers", "peft")
        if not _version(package)
    ]
    if torch_is_cpu_build() and any(device.kind == "cuda" for device in detect_devices()):
        found.append(
            "An NVIDIA GPU was found, but the installed torch is a CPU-only build: install a CUDA build of torch."
        )
    place = home.path
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        found.append(f"{place} is not writable: choose another home with --home.")
    if free_bytes(home.path) < LEAST_FREE_BYTES:
        found.append(f"Less than 2 GB of disk space is free at {home.path}: checkpoints may not fit.")
    if available_memory < LEAST_MEMORY_BYTES:
        found.append("Less than 7 GB of memory is available: close other programs before you start a run.")
        if "microsoft" in platform.release().lower():
            found.append(
                "WSL2 limits Linux to half of the memory by default: set 'memory=' under [wsl2] in "
                "%UserProfile%\\.wslconfig, then run 'wsl --shutdown'."
            )
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        found.append("HF_HUB_OFFLINE is set: only downloaded models can be used.")
    return found
