"""Files are sent as a zip while they are read; what vanishes or grows meanwhile is no obstacle."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from studio.web.zips import CHUNK_BYTES, stream_zip, zipped


def test_files_are_sent_in_pieces_as_one_zip(tmp_path: Path) -> None:
    large = bytes(range(256)) * (CHUNK_BYTES // 100)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "large").write_bytes(large)
    (tmp_path / "growing").write_text("a")
    pieces = stream_zip(tmp_path, [tmp_path / "growing", tmp_path / "gone", tmp_path / "inner" / "large"])
    (tmp_path / "growing").write_text("abc")
    content = list(pieces)
    assert max(map(len, content)) < 2 * CHUNK_BYTES
    with zipfile.ZipFile(io.BytesIO(b"".join(content))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {"growing": b"abc", "inner/large": large}


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FineTuneError):
        zipped(tmp_path / "none", "adapter")
