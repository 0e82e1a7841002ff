import json
import os
from pathlib import Path

import pytest

from interfaces.folders import RunFolder
from tests.support.checkpoints import CONDITIONS, DAMAGE, commit
from trainer.artifacts.checkpoints import (
    NEEDED,
    changed_conditions,
    checkpoint_bytes,
    committed_steps,
    newest_checkpoint,
    read_manifest,
    rotate_checkpoints,
    verify_checkpoint,
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_commit_moves_and_records_all_but_the_pickle(folder: RunFolder) -> None:
    path = commit(folder, 7)
    assert {file.name for file in path.iterdir()} == {"MANIFEST.json", *NEEDED}
    manifest = read_manifest(path)
    assert manifest is not None
    assert (manifest.step, manifest.conditions, manifest.unlogged) == (7, CONDITIONS.model_dump(), {"loss": 0.1})
    assert checkpoint_bytes(folder) == sum(file.size for file in manifest.files.values())
    assert not (folder.staging / "checkpoint-7").exists()
    assert verify_checkpoint(path) is None


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_checkpoint_is_named_and_previous_one_used(folder: RunFolder, damage: str) -> None:
    commit(folder, 2)
    commit(folder, 5)
    DAMAGE[damage](commit(folder, 10))
    step, passed_over = newest_checkpoint(folder)
    assert step == (2 if damage == "a file of another step" else 5)
    assert passed_over[0].params["path"] == "step-0000010"
    assert passed_over[0].params["reason"]


def test_a_whole_model_needs_all_of_its_shards(folder: RunFolder) -> None:
    from tests.support.checkpoints import CONDITIONS
    from trainer.artifacts.checkpoints import NEEDED_OF_MODEL, commit_checkpoint

    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for number, weights in enumerate((["model.safetensors"], [*shards, "model.safetensors.index.json"], [], shards)):
        staged = folder.staging / f"checkpoint-{number}"
        staged.mkdir(parents=True)
        for name in (*NEEDED_OF_MODEL, *weights):
            (staged / name).write_text(name)
        path, _ = commit_checkpoint(folder, number, CONDITIONS, {}, "./base")
        problem = verify_checkpoint(path)
        assert (problem is None) == (number < 2)
        assert not (path / "adapter_config.json").exists()
    (folder.checkpoint(1) / shards[1]).unlink()
    problem = verify_checkpoint(folder.checkpoint(1))
    assert problem is not None
    assert problem.params["name"] == shards[1]


def test_rotation_is_by_step_and_ignores_damaged_checkpoints(folder: RunFolder) -> None:
    verified: set[int] = set()
    for step in (5, 10, 100):
        os.utime(commit(folder, step), (10**9 + 1000 / step, 10**9 + 1000 / step))  # the oldest looks newest
    DAMAGE["cut"](commit(folder, 1000))
    rotate_checkpoints(folder, 2, best=None, verified=verified)
    assert committed_steps(folder) == [10, 100, 1000]  # two that verify, whatever else is there
    commit(folder, 2000)
    rotate_checkpoints(folder, 2, best=None, verified=verified)
    assert committed_steps(folder) == [100, 1000, 2000]
    commit(folder, 3000)
    rotate_checkpoints(folder, 2, best=None, verified=verified)
    assert committed_steps(folder) == [2000, 3000]
    assert verified == {2000, 3000}


def test_the_best_one_stays_beside_the_newest(folder: RunFolder) -> None:
    for step in range(1, 6):
        commit(folder, step)
        rotate_checkpoints(folder, 2, best=2, verified=set())
    assert committed_steps(folder) == [2, 4, 5]


def test_what_has_changed_is_named(folder: RunFolder) -> None:
    before = {"threads": 2, "dtype": "float32", "versions": {"torch": "2.13.0", "peft": "0.21.2"}}
    assert changed_conditions(before, before) == []
    now = {**before, "threads": 4, "versions": {"torch": "2.14.0", "peft": "0.21.2"}}
    assert changed_conditions(before, now) == ["threads 2 -> 4", "torch 2.13.0 -> 2.14.0"]


def test_uncommitted_checkpoints_are_ignored(folder: RunFolder) -> None:
    assert newest_checkpoint(folder) == (None, [])
    (folder.staging / "checkpoint-3").mkdir(parents=True)
    assert newest_checkpoint(folder) == (None, [])


def test_second_commit_of_a_step_replaces_the_first(folder: RunFolder) -> None:
    commit(folder, 5)
    assert verify_checkpoint(commit(folder, 5)) is None
    assert json.loads((folder.checkpoint(5) / "MANIFEST.json").read_text())["step"] == 5


def test_a_checkpoint_names_no_place_of_this_machine(folder: RunFolder) -> None:
    path = commit(folder, 3)
    settings = json.loads((path / "adapter_config.json").read_text())
    assert settings == {"r": 8, "base_model_name_or_path": "org/base"}
    assert not (path / "README.md").exists()
    assert verify_checkpoint(path) is None
