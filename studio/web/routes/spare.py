"""`/api/spare`: the trainer that waits, so that a start is quick; how much memory it holds, and how to free it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from interfaces.folders import Home
from studio.processes.warm_trainer import end_spare, keep_spare, spare_state
from studio.runs.state import any_run_is_active


def spare_router(home: Home, wanted: bool = True) -> APIRouter:
    """The routes of one home's spare trainer; `wanted` is false where a person asked for none."""
    router = APIRouter(prefix="/api/spare")

    @router.get("")
    def read_spare() -> dict[str, Any]:
        return spare_state(home)

    @router.post("")
    def want_spare() -> dict[str, Any]:
        if wanted and not any_run_is_active(home):
            keep_spare(home)
        return spare_state(home)

    @router.delete("")
    def free_spare() -> dict[str, Any]:
        end_spare(home)
        return spare_state(home)

    return router
