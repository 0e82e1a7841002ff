"""Folders as zip files, sent while they are read: stored neither in memory nor on disk."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi.responses import StreamingResponse

from interfaces.errors import FineTuneError
from interfaces.problems import Code

CHUNK_BYTES = 1 << 20
_LARGE_BYTES = 1 << 30
"""Larger entries get 64-bit sizes; the format needs them from 4 GiB on."""


def zipped(folder: Path, name: str, files: tuple[str, ...] = ()) -> StreamingResponse:
    """Send a folder, or some of its files, as a zip.

    Raises:
        FineTuneError: there is no such folder.
    """
    if not folder.is_dir():
        raise FineTuneError.of(Code.NO_ADAPTER, run=name)
    plain = quote(f"{name}.zip")
    # Values of headers are Latin-1: other names are percent-encoded (RFC 6266).
    named = f'filename="{plain}"' if plain == f"{name}.zip" else f"filename*=utf-8''{plain}"
    headers = {"Content-Disposition": f"attachment; {named}"}
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and (not files or path.name in files))
    return StreamingResponse(stream_zip(folder, paths), media_type="application/zip", headers=headers)


class _Pipe(io.RawIOBase):
    """An in-memory pipe: the zip writer fills it, and the response takes the data chunk by chunk."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def stream_zip(folder: Path, paths: Iterable[Path]) -> Iterator[bytes]:
    """Stream files of a folder as a zip that is stored neither in memory nor on disk. What vanishes meanwhile is left out."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for path in paths:
            try:
                source = path.open("rb")
                entry = zipfile.ZipInfo.from_file(path, path.relative_to(folder), strict_timestamps=False)
            except OSError:
                continue
            # A run that is active appends to its files: the size at the start doesn't decide how the entry is written.
            with source, archive.open(entry, "w", force_zip64=entry.file_size > _LARGE_BYTES) as target:
                while piece := source.read(CHUNK_BYTES):
                    target.write(piece)
                    yield pipe.take()
    yield pipe.take()
