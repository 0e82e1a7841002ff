"""`/api/estimate`: estimates for the form's settings with the chosen and all listed models. No child, no network."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field, ValidationError

from interfaces.config import FineTuneConfig
from interfaces.device import Device
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.presets import PRESETS
from interfaces.problems import Problem
from interfaces.run_config import Settings
from interfaces.texts import sentence, texts
from studio.datasets.library import find_dataset, with_datasets
from studio.finetune_manager import FinetuneManager
from studio.models.catalog import CATALOG
from studio.runs.queue import device_name
from studio.runs.waiting_time import DeviceWait, wait_for
from studio.sizing.assess import Assessment, assess
from studio.sizing.calibration import TIMED_STEPS, timing_config
from studio.sizing.devices import chosen_device, detect_devices
from studio.sizing.records import AssessmentRecord, FitLevel, FitRecord
from studio.web.errors import PlainRoute, detail_of
from studio.web.routes.texts import Language

SLOW_PARAMETERS = 900_000_000
"""Larger models take days on a CPU, even if they fit."""


class ModelEstimate(BaseModel):
    """What the list of models shows: the memory and time with these settings, and if it doesn't fit, settings that would."""

    total_bytes: int
    fit_level: FitLevel
    slow: bool
    seconds: tuple[float, float] | None
    download_bytes: int
    fit: FitRecord | None


class PresetEstimate(BaseModel):
    """Estimate a preset on this machine with its own model and the chosen data."""

    model: str
    total_bytes: int
    fit_level: FitLevel


class WholeEstimate(AssessmentRecord):
    """The estimate of the form's settings, with warnings in words, and what other settings would save."""

    warnings: list[Problem] = Field(exclude=True)
    remarks: list[str]
    fit: FitRecord | None
    savings: list[FitRecord]


class EstimateAnswer(BaseModel):
    """For the form; `detail` says why there is no `estimate`, `wait` what the run would wait for."""

    estimate: WholeEstimate | None = None
    detail: str = ""
    models: dict[str, ModelEstimate]
    presets: dict[str, PresetEstimate]
    wait: DeviceWait | None = None


def estimates_router(manager: FinetuneManager) -> APIRouter:
    """The routes of one home's estimates."""
    home = manager.home
    router = APIRouter(prefix="/api/estimate", route_class=PlainRoute)

    @router.post("")
    def read_estimate(config: Annotated[Settings, Body(embed=True)], language: Language = "en") -> EstimateAnswer:
        """`config` has the form's values, not validated. An invalid config gets neither an estimate nor an error."""
        try:
            checked = FineTuneConfig.model_validate(config)
        except ValidationError:
            return EstimateAnswer(models={}, presets={})
        device = chosen_device(checked.device, detect_devices())
        models = {entry.id: _card(home, checked, entry.id, device) for entry in CATALOG}
        presets = {name: _preset(home, checked, name, device) for name in PRESETS}
        try:
            found = _whole(assess(home, checked, device), language)
        except FineTuneError as error:
            return EstimateAnswer(detail=detail_of(error.problems, language), models=models, presets=presets)
        wait = wait_for(manager.queue, device_name(device))
        return EstimateAnswer(estimate=found, models=models, presets=presets, wait=wait)

    @router.post("/time")
    def time_steps(config: Annotated[Settings, Body(embed=True)], language: Language = "en") -> dict[str, str]:
        """Time a few steps with the form's settings in a separate run."""
        # A page may refer only to datasets of the library, never to file paths.
        named = {**config, "dataset": find_dataset(home, str(config.get("dataset", ""))).id}
        name = texts("page", language).of("fit_timing_name", steps=TIMED_STEPS)
        return {"run": manager.launch_new(with_datasets(home, timing_config(named, name)), timing=True)}

    return router


def _whole(found: Assessment, language: str) -> WholeEstimate:
    fit = found.fit()
    return WholeEstimate(
        **dict(found.to_record()), fit=fit.to_record() if fit else None,
        savings=[one.to_record() for one in found.savings()],
        remarks=[sentence(problem, language) for problem in found.warnings()],
    )  # fmt: skip


def _card(home: Home, config: FineTuneConfig, model: str, device: Device) -> ModelEstimate:
    found = assess(home, config.model_copy(update={"model_name": model, "model_revision": "main"}), device)
    fit = found.fit()
    return ModelEstimate(
        total_bytes=found.estimate.total_bytes, fit_level=found.estimate.fit_level,
        slow=device.kind == "cpu" and found.facts.shape.parameters > SLOW_PARAMETERS,
        seconds=found.estimate.seconds, download_bytes=found.facts.download_bytes, fit=fit.to_record() if fit else None,
    )  # fmt: skip


def _preset(home: Home, config: FineTuneConfig, name: str, device: Device) -> PresetEstimate:
    preset = PRESETS[name]()
    preset.dataset = config.dataset
    found = assess(home, preset, device).estimate
    return PresetEstimate(model=preset.model_name, total_bytes=found.total_bytes, fit_level=found.fit_level)
