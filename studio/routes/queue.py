"""`/api/queue`: what runs, what waits, and its order."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body

from interfaces.folders import RunFolder
from interfaces.problems import Code, FineTuneError
from studio.run_queue import RunQueue


def queue_router(queue: RunQueue) -> APIRouter:
    """The routes of one home's queue. A run leaves it by the route that stops it."""
    router = APIRouter(prefix="/api/queue")

    def folder_of(run_id: str) -> RunFolder:
        folder = queue.home.run(run_id)
        if "/" in run_id or not folder.config.is_file():
            raise FineTuneError.of(Code.RUN_NOT_FOUND, run=run_id, path=queue.home.runs.name)
        return folder

    @router.get("")
    def read_queue() -> dict[str, Any]:
        return queue.to_record()

    @router.post("/pause")
    def pause() -> dict[str, Any]:
        queue.pause()
        return queue.to_record()

    @router.post("/go-on")
    def go_on() -> dict[str, Any]:
        queue.go_on()
        return queue.to_record()

    @router.post("/{run_id}/move")
    def move(run_id: str, position: Annotated[int, Body(embed=True, ge=1)]) -> dict[str, Any]:
        queue.move(folder_of(run_id), position)
        return queue.to_record()

    return router
