"""The end of a log, as plain text."""

from __future__ import annotations

import io
from pathlib import Path

LOG_BYTES = 64_000


def tail_of(path: Path) -> str:
    """The end of a log as plain text; a huge one is never read whole."""
    try:
        with path.open("rb") as file:
            file.seek(0, io.SEEK_END)
            file.seek(max(file.tell() - LOG_BYTES, 0))
            raw = file.read()
    except FileNotFoundError:
        return ""
    text = raw.decode("utf-8", "replace").replace("\r", "\n")
    return "".join(character for character in text if character == "\n" or character == "\t" or character.isprintable())


def last_lines(path: Path, most: int) -> list[str]:
    """The last lines that say something, oldest first."""
    return [line for line in tail_of(path).splitlines() if line.strip()][-most:]
