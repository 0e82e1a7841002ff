"""An estimate as the page, the terminal and a run's folder get it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field

from interfaces.config import FineTuneConfig
from interfaces.device import Device
from interfaces.problems import Changes, Problem
from studio.models.architecture import Architecture

FitLevel = Literal["fits", "tight", "too_big"]
Loss = Literal["trained", "full"]


class DeviceMemory(BaseModel):
    """A device with its memory in bytes."""

    kind: Literal["cpu", "cuda", "mps"]
    name: str
    total_bytes: int
    free_bytes: int
    bf16: bool

    @classmethod
    def of(cls, device: Device, **more: object) -> Self:
        found = {
            "kind": device.kind, "name": device.name, "total_bytes": device.total_memory_bytes,
            "free_bytes": device.free_memory_bytes, "bf16": device.bf16,
        }  # fmt: skip
        return cls.model_validate({**found, **more})

    def device(self) -> Device:
        return Device(self.kind, self.name, self.total_bytes, self.free_bytes, bf16=self.bf16)


class EstimateRecord(BaseModel):
    """What a run needs, in bytes; `bytes` are the parts of `total_bytes`."""

    bytes: dict[str, int]
    total_bytes: int
    fit_level: FitLevel
    seconds: tuple[float, float] | None
    steps: int | None
    tensor_bytes: int
    host_bytes: int
    disk_bytes: int
    batch_tokens: int
    """Tokens of the largest batch that is to be expected."""
    device: DeviceMemory

    @property
    def comparable_bytes(self) -> int:
        """The part that is measured on this kind of device."""
        return self.tensor_bytes if self.device.kind == "cuda" else self.total_bytes


class FitRecord(BaseModel):
    """A change of settings, the memory with it, and what it costs (keys of sentences)."""

    changes: Changes
    costs: list[str]
    total_bytes: int
    fit_level: FitLevel
    step_seconds: float | None
    practical: bool


class AssessmentRecord(EstimateRecord):
    """An estimate with what it was made for."""

    model: str
    parameters: int
    loss: Loss
    download_bytes: int
    lengths_known: bool
    correction: float
    gradient_checkpointing: bool
    warnings: list[Problem]


class RunEstimate(EstimateRecord):
    """`estimate.json`: what was estimated before a run began, and of what, so that it can be asked again with its own rows."""

    correction: float
    shape: Architecture
    config: FineTuneConfig
    flops_per_token: float | None = Field(default=None, exclude=True)
    """With the run's own rows; None before they are counted."""

    def to_json(self) -> dict[str, object]:
        return self.model_dump(mode="json", exclude={"config": {"output_dir"}})
