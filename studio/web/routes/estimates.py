"""`/api/estimate`: the verdict on the form's settings, for the chosen model and for each on the list. No child, no network."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import ValidationError

from interfaces.config import FineTuneConfig
from interfaces.device import Device
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.presets import PRESETS
from interfaces.texts import sentence, texts
from studio.datasets.library import find_dataset, with_datasets
from studio.finetune_manager import FinetuneManager
from studio.models.catalog import CATALOG
from studio.sizing.assess import Assessment, assess
from studio.sizing.calibration import TIMED_STEPS, timing_config
from studio.sizing.devices import chosen_device, detect_devices
from studio.web.errors import PlainRoute, detail_of

Language = Annotated[str, Query(pattern="^(en|zh)$")]
SLOW_PARAMETERS = 900_000_000
"""Larger models take days on a CPU, however well they fit."""


def estimates_router(manager: FinetuneManager) -> APIRouter:
    """The routes of one home's estimates."""
    home = manager.home
    router = APIRouter(prefix="/api/estimate", route_class=PlainRoute)

    @router.post("")
    def read_estimate(config: Annotated[dict[str, Any], Body(embed=True)], language: Language = "en") -> dict[str, Any]:
        """`config` is what the form holds, unchecked: while something in it is wrong there is no verdict, and no error."""
        try:
            checked = FineTuneConfig.model_validate(config)
        except ValidationError:
            return {"models": {}, "presets": {}}
        device = chosen_device(checked.device, detect_devices())
        others = {
            "models": {entry.id: _card(home, checked, entry.id, device) for entry in CATALOG},
            "presets": {name: _preset(home, checked, name, device) for name in PRESETS},
        }
        try:
            return {**_whole(assess(home, checked, device), language), **others}
        except FineTuneError as error:
            return {"detail": detail_of(error.problems, language), **others}

    @router.post("/time")
    def time_steps(config: Annotated[dict[str, Any], Body(embed=True)], language: Language = "en") -> dict[str, str]:
        """Have a few steps of the form's settings timed, by a run of their own."""
        # A page names datasets of the library, never files by their paths.
        named = {**config, "dataset": find_dataset(home, str(config.get("dataset", ""))).id}
        name = texts("page", language).of("fit_timing_name", steps=TIMED_STEPS)
        return {"run": manager.launch_new(with_datasets(home, timing_config(named, name)))}

    return router


def _whole(verdict: Assessment, language: str) -> dict[str, Any]:
    fit = verdict.fit()
    return {
        **verdict.to_record(), "fit": fit.to_record() if fit else None,
        "savings": [one.to_record() for one in verdict.savings()],
        "warnings": [sentence(problem, language) for problem in verdict.warnings()],
    }  # fmt: skip


def _card(home: Home, config: FineTuneConfig, model: str, device: Device) -> dict[str, Any]:
    """What a model's card shows: memory with these settings, and where they are too much, with which it would fit."""
    verdict = assess(home, config.model_copy(update={"model_name": model, "model_revision": "main"}), device)
    fit = verdict.fit()
    return {
        "total_bytes": verdict.estimate.total_bytes, "verdict": verdict.estimate.verdict,
        "slow": device.kind == "cpu" and verdict.facts.shape.parameters > SLOW_PARAMETERS,
        "download_bytes": verdict.facts.download_bytes, "fit": fit.to_record() if fit else None,
    }  # fmt: skip


def _preset(home: Home, config: FineTuneConfig, name: str, device: Device) -> dict[str, Any]:
    """What a preset would need here, with its own model and the data that is chosen."""
    preset = PRESETS[name]()
    preset.dataset = config.dataset
    found = assess(home, preset, device)
    return {"model": preset.model_name, "total_bytes": found.estimate.total_bytes, "verdict": found.estimate.verdict}
