"""Detects images, video, and audio. They are unsupported, so a row with any of them is invalid."""

from __future__ import annotations

import re
from typing import Any

from interfaces.problems import Code
from trainer.data.cells import RowError
from trainer.data.lists import parsed

_MANY = {"images", "videos", "audios", "image_paths", "image_urls"}
"""Columns that contain files, regardless of their values."""
_ONE = {"image", "img", "image_path", "image_url", "picture", "video", "video_path", "video_url", "audio", "audio_path", "audio_url"}  # fmt: skip
"""Columns that contain a file, or text about one."""
_FILE = re.compile(r"\.(png|jpe?g|webp|gif|bmp|tiff?|mp4|mov|avi|webm|mkv|wav|mp3|flac|ogg|m4a)(\?|\Z)", re.IGNORECASE)
_WHERE_FROM = re.compile(r"\A(data:|https?://|file:|s3:|gs:|\.{0,2}/)|\A[A-Za-z0-9+/=]{80,}\Z")
"""A URL, an absolute path, or base64 data."""


def refuse_media(values: dict[str, object], within: str = "") -> None:
    """
    Raises:
        RowError: the row or turn has images, video, or audio.
    """
    for key in values.keys() & (_MANY | _ONE) if len(values) > 1 else ():
        if _is_media(values[key], key in _MANY):
            raise RowError(Code.ROW_HAS_MEDIA, field=f"{within}.{key}" if within else key, value=key)


def _is_media(value: Any, surely: bool) -> bool:
    """Return whether a value is bytes, an object with bytes or a path, a file name, a URL, or a list of these."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = parsed(value, "")
    if isinstance(value, list):
        return any(_is_media(one, surely) for one in value)
    if isinstance(value, dict):
        return any(value.get(key) for key in ("bytes", "path", "url", "array"))
    if not isinstance(value, str):
        return isinstance(value, bytes)
    text = value.strip()
    return bool(text) and (surely or _FILE.search(text) is not None or _WHERE_FROM.match(text) is not None)
