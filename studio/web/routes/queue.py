"""`/api/queue`: active and queued runs and their order."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from studio.runs.queue import QueueRecord, RunQueue
from studio.runs.state import named_job
from studio.web.errors import PlainRoute


def queue_router(queue: RunQueue) -> APIRouter:
    """Create the routes of one home's queue. The stop route removes a queued run."""
    router = APIRouter(prefix="/api/queue", route_class=PlainRoute)

    @router.get("")
    def read_queue() -> QueueRecord:
        return queue.to_record()

    @router.post("/pause")
    def pause() -> QueueRecord:
        queue.pause()
        return queue.to_record()

    @router.post("/resume")
    def resume() -> QueueRecord:
        queue.resume()
        return queue.to_record()

    @router.post("/{run_id}/move")
    def move(run_id: str, position: Annotated[int, Body(embed=True, ge=1, le=10**6)]) -> QueueRecord:
        queue.move(named_job(queue.home, run_id), position)
        return queue.to_record()

    return router
