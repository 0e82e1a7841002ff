import json
from collections.abc import Callable
from pathlib import Path

import pytest

from interfaces.folders import RunFolder, read_json
from trainer.checkpoints import (
    commit_checkpoint,
    committed_steps,
    newest_checkpoint,
    rotate_checkpoints,
    verify_checkpoint,
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def commit(folder: RunFolder, step: int) -> Path:
    staged = folder.staging / f"checkpoint-{step}"
    staged.mkdir(parents=True)
    (staged / "adapter_model.safetensors").write_bytes(bytes(1000) + str(step).encode())
    (staged / "optimizer.pt").write_bytes(b"o" * 500)
    (staged / "training_args.bin").write_bytes(b"a token may be in here")
    path, size = commit_checkpoint(folder, step, {"threads": 2})
    assert size == 1500 + len(str(step))
    return path


def test_a_commit_moves_everything_but_the_pickle_and_writes_down_what_it_was(folder: RunFolder) -> None:
    path = commit(folder, 7)
    assert sorted(file.name for file in path.iterdir()) == [
        "MANIFEST.json",
        "adapter_model.safetensors",
        "optimizer.pt",
    ]
    manifest = read_json(path / "MANIFEST.json")
    assert manifest is not None
    assert (manifest["step"], manifest["threads"]) == (7, 2)
    assert not (folder.staging / "checkpoint-7").exists()
    assert verify_checkpoint(path) is None


def damage_size(path: Path) -> None:
    (path / "optimizer.pt").write_bytes(b"o" * 499)


def damage_content(path: Path) -> None:
    (path / "optimizer.pt").write_bytes(b"x" * 500)


def damage_missing(path: Path) -> None:
    (path / "adapter_model.safetensors").unlink()


def damage_manifest(path: Path) -> None:
    (path / "MANIFEST.json").write_text("{")


def damage_no_manifest(path: Path) -> None:
    (path / "MANIFEST.json").unlink()


@pytest.mark.parametrize("damage", [damage_size, damage_content, damage_missing, damage_manifest, damage_no_manifest])
def test_damage_is_found_named_and_the_one_before_is_taken(folder: RunFolder, damage: Callable[[Path], None]) -> None:
    commit(folder, 5)
    damage(commit(folder, 10))
    step, passed_over = newest_checkpoint(folder)
    assert step == 5
    assert [problem.params["path"] for problem in passed_over] == ["step-0000010"]
    assert passed_over[0].params["reason"]


def test_rotation_is_by_step_not_by_clock_and_never_leaves_only_a_bad_one(folder: RunFolder) -> None:
    import os

    for step in (5, 10, 100):
        os.utime(commit(folder, step), (10**9 + 1000 / step, 10**9 + 1000 / step))  # the oldest looks newest
    damage_size(commit(folder, 1000))
    rotate_checkpoints(folder, keep=2)
    assert committed_steps(folder) == [5, 10, 100, 1000]
    commit(folder, 2000)
    rotate_checkpoints(folder, keep=2)
    assert committed_steps(folder) == [1000, 2000]


def test_what_is_not_committed_does_not_exist(folder: RunFolder) -> None:
    assert newest_checkpoint(folder) == (None, [])
    (folder.staging / "checkpoint-3").mkdir(parents=True)
    assert newest_checkpoint(folder) == (None, [])


def test_a_second_commit_of_the_same_step_takes_the_place_of_the_first(folder: RunFolder) -> None:
    commit(folder, 5)
    assert verify_checkpoint(commit(folder, 5)) is None
    assert json.loads((folder.checkpoint(5) / "MANIFEST.json").read_text())["step"] == 5
