"""`/api/warm-trainer`: the warm trainer for fast starts: its memory, starting it, and freeing it."""

from __future__ import annotations

from fastapi import APIRouter

from interfaces.folders import Home
from studio.processes.warm_trainer import WarmTrainerState, end_warm_trainer, keep_warm_trainer, warm_trainer_state
from studio.runs.state import any_run_is_active
from studio.web.errors import PlainRoute


def warm_trainer_router(home: Home, wanted: bool = True) -> APIRouter:
    """Create the routes of one home's warm trainer. `wanted` is false if the user disabled it."""
    router = APIRouter(prefix="/api/warm-trainer", route_class=PlainRoute)

    @router.get("")
    def read_warm_trainer() -> WarmTrainerState:
        return warm_trainer_state(home)

    @router.post("")
    def want_warm_trainer() -> WarmTrainerState:
        if wanted and not any_run_is_active(home):
            keep_warm_trainer(home)
        return warm_trainer_state(home)

    @router.delete("")
    def free_warm_trainer() -> WarmTrainerState:
        end_warm_trainer(home)
        return warm_trainer_state(home)

    return router
