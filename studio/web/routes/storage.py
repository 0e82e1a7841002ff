"""`/api/storage`: what lies on the disk, clean-ups with undo, and a copy of all data."""

from __future__ import annotations

import shutil

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from interfaces.folders import Home
from studio.storage.cleanup import Cleanup, Kind, Proposal, clean_up, delete_for_good, pending, proposals, undo
from studio.storage.usage import Place, own_files, usage_of
from studio.web.errors import PlainRoute
from studio.web.zips import stream_zip


class Storage(BaseModel):
    """The home's disk in bytes, what each kind of data takes, what can be cleaned up, and what can be undone."""

    total_bytes: int
    free_bytes: int
    places: list[Place]
    proposals: list[Proposal]
    pending: list[Cleanup]


def storage_router(home: Home) -> APIRouter:
    """The routes of one home's disk."""
    router = APIRouter(prefix="/api/storage", route_class=PlainRoute)

    @router.get("")
    def read_storage() -> Storage:
        disk = shutil.disk_usage(home.path)
        return Storage(
            total_bytes=disk.total, free_bytes=disk.free, places=usage_of(home), proposals=proposals(home),
            pending=pending(home),
        )  # fmt: skip

    @router.post("/clean/{kind}")
    def clean(kind: Kind) -> Cleanup:
        return clean_up(home, kind)

    @router.post("/cleanups/{cleanup}/undo")
    def put_back(cleanup: str) -> dict[str, bool]:
        undo(home, cleanup)
        return {"undone": True}

    @router.delete("/cleanups/{cleanup}")
    def delete(cleanup: str) -> dict[str, int]:
        return {"freed_bytes": delete_for_good(home, cleanup)}

    @router.get("/data.zip")
    def download() -> StreamingResponse:
        """Send all data of one's own: runs with their results, datasets, chats, settings. Nothing that is secret."""
        headers = {"Content-Disposition": 'attachment; filename="finetune-studio.zip"'}
        pieces = stream_zip(home.path, own_files(home))
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)

    return router
