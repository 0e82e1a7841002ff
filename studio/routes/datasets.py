"""`/api/datasets`: a file dropped on the page, streamed to the disk and checked in a child; and its preview."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from interfaces.disk import require_space
from interfaces.example import Example
from interfaces.folders import Home, read_json
from interfaces.problems import Code, FineTuneError
from studio.datasets import MOST_BYTES
from studio.demo import SAMPLE, SAMPLES
from studio.trainer_child import add_dataset

SHOWN_ROWS = 20


def datasets_router(home: Home) -> APIRouter:
    """The routes of one home's datasets."""
    router = APIRouter(prefix="/api/datasets")

    @router.post("")
    async def upload(request: Request, name: str = "") -> dict[str, Any]:
        size = int(request.headers.get("content-length", 0))
        if size > MOST_BYTES:
            raise FineTuneError.of(Code.FILE_TOO_LARGE, path=name, size=size, limit=MOST_BYTES)
        home.cache.mkdir(parents=True, exist_ok=True)
        require_space(home.path, 3 * size)
        with tempfile.TemporaryDirectory(dir=home.cache, prefix="upload-") as folder:
            path = Path(folder) / safe_name(name)
            received = 0
            with path.open("wb") as file:
                async for piece in request.stream():
                    received += len(piece)
                    if received > MOST_BYTES:
                        raise FineTuneError.of(Code.FILE_TOO_LARGE, path=name, size=received, limit=MOST_BYTES)
                    file.write(piece)
            return preview(home, await run_in_threadpool(add_dataset, home.path, path))

    @router.post("/sample")
    def take_sample() -> dict[str, Any]:
        return preview(home, add_dataset(home.path, SAMPLES / SAMPLE))

    @router.get("/{dataset_id}")
    def read(dataset_id: str) -> dict[str, Any]:
        return preview(home, dataset_id)

    return router


def safe_name(name: str) -> str:
    """A person's file name, as far as it can be one here: its last part, printable, and short enough for any disk."""
    last = "".join(character for character in name.replace("\\", "/").rsplit("/", 1)[-1] if character.isprintable())
    stem, dot, suffix = last.rpartition(".")
    if not dot:
        stem, suffix = last, ""
    # 60 characters are at most 240 bytes.
    return (stem.strip(". ")[:60] or "rows") + (f".{suffix[:10]}" if dot else "")


def preview(home: Home, dataset_id: str) -> dict[str, Any]:
    """What a dataset holds, with its first rows.

    Raises:
        FineTuneError: there is no such dataset.
    """
    folder = home.dataset(dataset_id)
    report = read_json(folder.report) if dataset_id.isalnum() else None
    if report is None:
        raise FineTuneError.of(Code.FILE_MISSING, path=dataset_id)
    with folder.examples.open(encoding="utf-8") as file:
        examples = [Example.model_validate_json(line) for line in itertools.islice(file, SHOWN_ROWS)]
    rows = [
        [{"role": message.role, "text": message.content, "train": message.train} for message in example.messages]
        for example in examples
    ]
    return {
        "id": dataset_id,
        "name": report["name"],
        "format": report["format"],
        "rows": report["rows"],
        "examples": rows,
    }
