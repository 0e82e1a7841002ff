"""Exports of runs: their place and name, what is refused before they are queued, and what a list shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interfaces.errors import FineTuneError
from interfaces.events import Finished
from interfaces.exports import ExportRecord, ExportRequest
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import ExportFolder
from interfaces.problems import Code
from interfaces.run_records import RunMeta
from studio.exports.exports import create, delete, kinds_of, named_export, state_of, submit
from studio.runs.jobs import stop_job
from studio.runs.queue import RunQueue
from studio.runs.state import RunState, find_job
from tests.support.adapters import run_with_adapter
from tests.support.records import recorded_run, step


@pytest.fixture
def run(home: Home) -> RunFolder:
    found = recorded_run(home, step(1), Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1))
    for folder in (found.adapter, found.checkpoint(4)):
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text("{}")
    return found


def request(**more: Any) -> ExportRequest:
    return ExportRequest.model_validate({"kind": "gguf", **more})


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"kind": "adapter"}, "My-run-one-adapter.zip"),
        ({"kind": "merged"}, "My-run-one-merged-f16"),
        ({"kind": "merged", "quantization": "bf16", "step": 4}, "My-run-one-step-4-merged-bf16"),
        ({}, "My-run-one-f16.gguf"),
        ({"quantization": "q8_0", "step": 4}, "My-run-one-step-4-q8_0.gguf"),
    ],
)
def test_files_are_named_after_the_run(run: RunFolder, asked: dict[str, Any], name: str) -> None:
    RunMeta.of(run).model_copy(update={"name": "My run / one"}).write(run)
    assert ExportRequest.of(create(run, request(**asked))).name == name


def test_a_folder_gets_the_files_under_their_own_name(run: RunFolder, tmp_path: Path) -> None:
    inside = ExportRequest.of(create(run, request(out=str(tmp_path))))
    assert Path(inside.out).parent == tmp_path
    named = ExportRequest.of(create(run, request(out=str(tmp_path / "mine.gguf"))))
    assert (named.out, named.name) == (str(tmp_path / "mine.gguf"), "mine.gguf")


def test_what_cannot_be_exported_is_refused_before_it_is_queued(run: RunFolder, home: Home, tmp_path: Path) -> None:
    (tmp_path / "taken.gguf").touch()
    for asked, code in (
        ({"kind": "merged", "quantization": "q8_0"}, Code.VALUE_INVALID),
        ({"kind": "adapter", "quantization": "f16"}, Code.VALUE_INVALID),
        ({"step": 5}, Code.NO_CHECKPOINT),
        ({"out": str(tmp_path / "taken.gguf")}, Code.OUTPUT_EXISTS),
    ):
        with pytest.raises(FineTuneError) as caught:
            create(run, request(**asked))
        assert caught.value.problems[0].code is code
    with pytest.raises(FineTuneError) as caught:
        create(recorded_run(home), request())
    assert caught.value.problems[0].code is Code.NO_ADAPTER
    assert not ExportFolder.all_of(run)
    with pytest.raises(FineTuneError) as caught:
        named_export(run, 3)
    assert caught.value.problems[0].code is Code.NO_EXPORT


def test_full_fine_tuning_has_no_adapter_to_export(home: Home) -> None:
    run = recorded_run(home, tuning="full")
    run.model.mkdir()
    (run.model / "config.json").write_text("{}")
    assert list(kinds_of(run)) == ["merged", "gguf", "ollama"]
    with pytest.raises(FineTuneError) as caught:
        create(run, request(kind="adapter"))
    assert caught.value.problems[0].params["expected"] == "no_adapter_to_export"
    create(run, request())


def test_a_reward_model_is_exported_as_an_adapter_alone(home: Home, tiny_model: Path) -> None:
    run = run_with_adapter(home, tiny_model, method="reward")
    assert list(kinds_of(run)) == ["adapter"]
    with pytest.raises(FineTuneError) as caught:
        create(run, request(kind="gguf"))
    assert caught.value.problems[0].code is Code.SCORES_ONLY
    create(run, request(kind="adapter"))


def test_an_export_waits_in_the_queue_of_the_processor(run: RunFolder, home: Home) -> None:
    RunQueue(home).pause()
    folder = create(run, request())
    submit(folder)
    [waiting] = RunQueue(home).waiting()
    assert (waiting.run, waiting.kind, waiting.device) == (f"{run.id}.export-1", "export", "cpu")
    assert find_job(home, f"last.export-{folder.number}") == folder
    assert state_of(folder).state is RunState.QUEUED
    stop_job(folder)
    assert not RunQueue(home).waiting()


def test_a_list_says_whether_the_files_are_still_there(run: RunFolder, tmp_path: Path) -> None:
    folder = create(run, request(out=str(tmp_path / "mine.gguf")))
    assert (state_of(folder).record, state_of(folder).there) == (None, False)
    (tmp_path / "mine.gguf").touch()
    ExportRecord(path=str(tmp_path / "mine.gguf"), bytes=0).write(folder)
    assert state_of(folder).there
    (tmp_path / "mine.gguf").unlink()
    assert not state_of(folder).there


@pytest.mark.parametrize("folder_like", [False, True])
def test_deleting_leaves_nothing_unfinished_and_what_was_written_elsewhere(
    run: RunFolder, tmp_path: Path, folder_like: bool
) -> None:
    done, begun = (create(run, request(out=str(tmp_path / name))) for name in ("done.gguf", "begun.gguf"))
    (tmp_path / "done.gguf").touch()
    staged = tmp_path / ".begun.gguf.part"
    staged.mkdir() if folder_like else staged.touch()
    delete(done)
    delete(begun)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(("gguf", "part"))] == ["done.gguf"]
    assert not ExportFolder.all_of(run)
