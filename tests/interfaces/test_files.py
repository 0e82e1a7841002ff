"""Records that are there whole, or not at all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interfaces.files import read_json, remove, write_json


def test_records_are_atomic(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    assert read_json(path) is None
    write_json(path, {"x": 1})
    assert read_json(path) == {"schema_version": 1, "x": 1}
    with pytest.raises(TypeError):
        write_json(path, {"x": object()})
    assert read_json(path) == {"schema_version": 1, "x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_damaged_record_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("{")
    (tmp_path / "b").write_text("[1]")
    assert read_json(tmp_path / "a") is None
    assert read_json(tmp_path / "b") is None


def test_threads_can_write_the_same_record_at_once(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: write_json(path, {"number": number}), range(200)))
    assert (read_json(path) or {})["number"] in range(200)
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_files_and_folders_are_removed_if_they_are_there(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    for name in ("folder", "file", "nothing"):
        remove(tmp_path / name)
    assert not list(tmp_path.iterdir())
