"""What the disk holds, and what a copy of all data has."""

from __future__ import annotations

import os
from pathlib import Path

from interfaces.folders import Home
from studio.storage.usage import own_files, size_of, usage_of
from tests.support.records import recorded_run


def written(path: Path, count: int = 100_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(count))
    return path


def test_each_kind_of_data_is_measured_once(home: Home) -> None:
    run = recorded_run(home)
    before = {place.name: place.bytes for place in usage_of(home)}
    written(run.checkpoint(3) / "adapter_model.safetensors")
    written(run.path / "exports" / "1" / "files" / "model.gguf", 200_000)
    written(home.cache / "tokens" / "a" / "ids", 300_000)
    after = {place.name: place.bytes for place in usage_of(home)}
    grown = {name: after[name] - before[name] for name in after}
    assert 100_000 <= grown["checkpoints"] <= 120_000
    assert 200_000 <= grown["exports"] <= 225_000
    assert 300_000 <= grown["caches"] <= 325_000
    assert abs(grown["runs"]) <= 8192  # a folder of its own may grow
    assert grown["datasets"] == grown["models"] == grown["trash"] == 0


def test_links_are_not_followed_and_files_count_once(tmp_path: Path) -> None:
    file = written(tmp_path / "a" / "one")
    (tmp_path / "a" / "two").hardlink_to(file)
    (tmp_path / "a" / "away").symlink_to(written(tmp_path / "b" / "large", 10_000_000))
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    assert 100_000 <= size_of([tmp_path / "a"]) <= 130_000
    assert size_of([tmp_path / "nothing"]) == 0


def test_a_copy_has_no_secrets_and_nothing_that_is_made_again(home: Home) -> None:
    run = recorded_run(home)
    for name in ("secrets.json", "studio-token", "notify.json", "cache/tokens/x", "trash/y/z", "models/starter/w"):
        written(home.path / name, 10)
    written(home.path / "settings.json", 10)
    written(run.path / ".reserve", 10)
    (home.path / "link").symlink_to("/etc")
    names = {str(path.relative_to(home.path)) for path in own_files(home)}
    assert names == {"settings.json", *(f"runs/{run.id}/{name}" for name in ("config.yaml", "events.jsonl"))}
