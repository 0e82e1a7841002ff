"""The end of a log, and what is found in it, as plain text."""

from __future__ import annotations

import io
from collections import deque
from pathlib import Path

LOG_BYTES = 64_000
MOST_FOUND = 500


def tail_of(path: Path) -> str:
    """Return the end of a log as plain text, without reading a huge file completely."""
    try:
        with path.open("rb") as file:
            file.seek(0, io.SEEK_END)
            file.seek(max(file.tell() - LOG_BYTES, 0))
            raw = file.read()
    except FileNotFoundError:
        return ""
    return _plain(raw)


def find_in_log(path: Path, words: str, most: int = MOST_FOUND) -> list[str]:
    """Return the last lines of a whole log that contain a text in any case, each with its number."""
    wanted = words.casefold()
    found: deque[str] = deque(maxlen=most)
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if wanted not in raw.decode("utf-8", "replace").casefold():
                    continue
                for part in _plain(raw).splitlines():  # a progress bar writes many in one line
                    if wanted in part.casefold():
                        found.append(f"{number}: {part}")
    except FileNotFoundError:
        return []
    return list(found)


def _plain(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace").replace("\r", "\n")
    return "".join(character for character in text if character == "\n" or character == "\t" or character.isprintable())


def last_lines(path: Path, most: int) -> list[str]:
    """Return the last meaningful lines, oldest first. Of a traceback, return only the exception."""
    reported, inside = [], False
    for line in tail_of(path).splitlines():
        if line.startswith(_AROUND) or not line.strip():
            inside = inside or line.startswith(_AROUND[0])
            continue
        inside = inside and line.startswith(" ")
        if not inside:
            reported.append(line)
    return reported[-most:]


_AROUND = ("Traceback (most recent call last)", "The above exception was", "During handling of the above")
