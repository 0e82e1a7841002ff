"""`/api/warm-trainer`: the warm trainer for fast starts: its memory, starting it, freeing it, and whether it is wanted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from interfaces.folders import Home
from studio.processes.warm_trainer import (
    WarmTrainerState,
    end_warm_trainer,
    keep_warm_trainer,
    want_warm_trainer,
    warm_trainer_state,
    warm_trainer_wanted,
)
from studio.runs.state import any_run_is_active
from studio.web.errors import PlainRoute


class WarmTrainer(WarmTrainerState):
    """`wanted` is the setting; `fixed` says that the studio was started without a warm trainer."""

    wanted: bool
    fixed: bool


def warm_trainer_router(home: Home, allowed: bool = True) -> APIRouter:
    """Create the routes of one home's warm trainer. `allowed` is false if the studio was started without one."""
    router = APIRouter(prefix="/api/warm-trainer", route_class=PlainRoute)

    def state() -> WarmTrainer:
        wanted = allowed and warm_trainer_wanted(home)
        return WarmTrainer(**dict(warm_trainer_state(home)), wanted=wanted, fixed=not allowed)

    @router.get("")
    def read_warm_trainer() -> WarmTrainer:
        return state()

    @router.post("")
    def start_warm_trainer() -> WarmTrainer:
        if state().wanted and not any_run_is_active(home):
            keep_warm_trainer(home)
        return state()

    @router.post("/wanted")
    def set_wanted(wanted: Annotated[bool, Body(embed=True)]) -> WarmTrainer:
        want_warm_trainer(home, wanted)
        return state()

    @router.delete("")
    def free_warm_trainer() -> WarmTrainer:
        end_warm_trainer(home)
        return state()

    return router
