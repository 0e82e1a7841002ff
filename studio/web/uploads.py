"""Files that a page sends."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request

from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from studio.datasets.library import MOST_BYTES


@asynccontextmanager
async def received(request: Request, home: Home, name: str, times: int) -> AsyncIterator[Path]:
    """Write the body of a request to a file of its own, in a folder of its own, and delete both if the block fails.

    `times` is the multiple of its size that is needed on the disk.

    Raises:
        FineTuneError: it is too large, or the disk is full.
    """
    announced = request.headers.get("content-length", "0")
    size = int(announced) if announced.isdecimal() else 0
    if size > MOST_BYTES:
        raise FineTuneError.of(Code.FILE_TOO_LARGE, path=name, size=size, limit=MOST_BYTES)
    require_space(home.path, times * size)
    place = uploads_of(home) / secrets.token_hex(8)
    place.mkdir(parents=True)
    path, written = place / safe_name(name), 0
    try:
        with path.open("wb") as file:
            async for piece in request.stream():
                written += len(piece)
                if written > MOST_BYTES:
                    raise FineTuneError.of(Code.FILE_TOO_LARGE, path=name, size=written, limit=MOST_BYTES)
                file.write(piece)
        yield path
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def uploads_of(home: Home) -> Path:
    return home.cache / "uploads"


def safe_name(name: str) -> str:
    """Sanitize a user's file name: only its last part, printable, and short enough for any disk."""
    last = "".join(character for character in name.replace("\\", "/").rsplit("/", 1)[-1] if character.isprintable())
    packed = ".gz" if last.lower().endswith(".gz") else ""
    last = last[: len(last) - len(packed)]
    stem, dot, suffix = last.rpartition(".")
    if not dot:
        stem, suffix = last, ""
    # 60 characters are at most 240 bytes.
    return (stem.strip(". ")[:60] or "rows") + (f".{suffix[:10]}" if dot else "") + packed
