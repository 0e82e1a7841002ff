"""`/api/about`: the studio's version, where it keeps everything, and the libraries that it uses."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
from functools import cache

from fastapi import APIRouter
from pydantic import BaseModel

from interfaces.folders import Home
from studio.web.errors import PlainRoute

PACKAGE = "finetune-studio"
_LONGEST = 60


class Library(BaseModel):
    """An installed library that the studio depends on, with the license that it states."""

    name: str
    version: str
    license: str


class About(BaseModel):
    """The studio and its home, with the free space of the home's disk."""

    version: str
    license: str
    home: str
    free_bytes: int
    libraries: list[Library]


def about_router(home: Home) -> APIRouter:
    """The route of one home."""
    router = APIRouter(route_class=PlainRoute)

    @router.get("/api/about")
    def read_about() -> About:
        own = library_of(PACKAGE)
        free = shutil.disk_usage(home.path).free
        return About(
            version=own.version, license=own.license, home=str(home.path), free_bytes=free, libraries=libraries()
        )

    return router


@cache
def libraries() -> list[Library]:
    """Return the installed libraries that the studio names in its requirements, by name."""
    names = {
        re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        for line in importlib.metadata.requires(PACKAGE) or ()
        if "extra ==" not in line
    }
    found = []
    for name in sorted(names, key=str.lower):
        try:
            found.append(library_of(name))
        except importlib.metadata.PackageNotFoundError:  # only for another platform, or an extra
            continue
    return found


def library_of(name: str) -> Library:
    """
    Raises:
        PackageNotFoundError: it isn't installed.
    """
    facts = importlib.metadata.metadata(name)
    classified = [
        line.rpartition(" :: ")[2] for line in facts.get_all("Classifier") or () if line.startswith("License :: OSI")
    ]
    stated = next((text for key in ("License-Expression", "License") for text in facts.get_all(key) or ()), "").strip()
    short = stated if len(stated) <= _LONGEST and "\n" not in stated else ""
    return Library(name=name, version=facts["Version"], license=short or ", ".join(classified))
