"""`/api/about`: the studio's version, and where it keeps everything."""

from __future__ import annotations

import importlib.metadata
import shutil

from fastapi import APIRouter
from pydantic import BaseModel

from interfaces.folders import Home
from studio.web.errors import PlainRoute


class About(BaseModel):
    """The studio and its home, with the free space of the home's disk."""

    version: str
    home: str
    free_bytes: int


def about_router(home: Home) -> APIRouter:
    """The route of one home."""
    router = APIRouter(route_class=PlainRoute)

    @router.get("/api/about")
    def read_about() -> About:
        version = importlib.metadata.version("finetune-studio")
        return About(version=version, home=str(home.path), free_bytes=shutil.disk_usage(home.path).free)

    return router
