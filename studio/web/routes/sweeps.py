"""`/api/sweeps`: several values for a few settings, counted and timed before the start, and their runs as a family."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from interfaces.history import RunHistory
from interfaces.run_config import Settings
from studio.datasets.library import find_dataset
from studio.finetune_manager import FinetuneManager
from studio.models.facts import model_facts
from studio.sweeps.family import delete_sweep, resume_sweep, start_sweep, stop_sweep
from studio.sweeps.plan import SweepPlan, plan_of
from studio.sweeps.ranking import Sweep, sweep_of
from studio.web.errors import PlainRoute
from studio.web.routes.texts import Language

Values = Annotated[dict[str, str], Body()]
"""The values of each setting as text, such as '1e-4, 2e-4'."""


def sweeps_router(manager: FinetuneManager) -> APIRouter:
    """The routes of one home's sweeps."""
    router = APIRouter(prefix="/api/sweeps", route_class=PlainRoute)
    histories: dict[str, RunHistory] = {}

    def of_library(config: Settings) -> Settings:
        """A page may refer only to datasets of the library, never to file paths."""
        named = config.get("dataset")
        return {**config, "dataset": find_dataset(manager.home, str(named)).id} if named else config

    @router.post("/plan")
    def read_plan(config: Annotated[Settings, Body()], values: Values) -> SweepPlan:
        return plan_of(manager.home, of_library(config), values)

    @router.post("")
    def start(config: Annotated[Settings, Body()], values: Values) -> dict[str, str]:
        model_facts(manager.home, str(config.get("model_name")), str(config.get("model_revision", "main")), online=True)
        return {"sweep": start_sweep(manager, of_library(config), values)}

    @router.get("/{sweep}")
    def read_sweep(sweep: str, language: Language = "en") -> Sweep:
        return sweep_of(manager.home, sweep, histories, language)

    @router.post("/{sweep}/stop")
    def stop(sweep: str) -> dict[str, int]:
        return {"stopped": stop_sweep(manager, sweep)}

    @router.post("/{sweep}/resume")
    def resume(sweep: str) -> dict[str, int]:
        return {"resumed": resume_sweep(manager, sweep)}

    @router.delete("/{sweep}")
    def delete(sweep: str) -> dict[str, list[str]]:
        return {"deleted": delete_sweep(manager, sweep)}

    return router
