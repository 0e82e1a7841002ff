"""The recommended models on this machine: where each is, and the memory it takes with the settings for the device."""

from __future__ import annotations

from pydantic import BaseModel

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.presets import PresetConfigs
from interfaces.texts import texts
from studio.models.catalog import CATALOG
from studio.sizing.assess import assess
from studio.sizing.devices import detect_devices, usable_device
from studio.sizing.records import FitLevel, FitRecord


class Offer(BaseModel):
    """A recommended model. `path` is None where it would be downloaded, `fit` the settings with which it fits."""

    id: str
    name: str
    tier: str
    parameters_millions: int
    context: int
    license: str
    gated: bool
    vram_hint: str
    time_hint: str
    advice: str
    path: str | None
    download_bytes: int
    total_bytes: int
    fit_level: FitLevel
    fit: FitRecord | None


class Need(BaseModel):
    """The memory that a model takes with the recommended settings for this machine."""

    total_bytes: int
    fit_level: FitLevel


def need_of(home: Home, model: str) -> Need | None:
    """Return the memory that training a model takes here; None if its architecture can't be trained."""
    device = usable_device(detect_devices())
    settings = PresetConfigs.for_device(device).model_copy(update={"model_name": model})
    try:
        found = assess(home, settings, device).estimate
    except (FineTuneError, OSError):
        return None
    return Need(total_bytes=found.total_bytes, fit_level=found.fit_level)


def offers_of(home: Home, language: str = "en") -> list[Offer]:
    """Every recommended model, in the catalog's order, with its advice in a language."""
    device = usable_device(detect_devices())
    settings = PresetConfigs.for_device(device)
    offers = []
    for entry in CATALOG:
        found = assess(home, settings.model_copy(update={"model_name": entry.id}), device)
        fit = found.fit()
        offers.append(
            Offer(
                id=entry.id, name=entry.name, tier=entry.tier, parameters_millions=entry.parameters, context=entry.context,
                license=entry.license, gated=entry.gated, vram_hint=entry.vram_hint, time_hint=entry.time_hint,
                advice=texts("model", language)[entry.id], path=str(found.facts.path) if found.facts.path else None,
                download_bytes=found.facts.download_bytes, total_bytes=found.estimate.total_bytes,
                fit_level=found.estimate.fit_level, fit=fit.to_record() if fit else None,
            )
        )  # fmt: skip
    return offers
