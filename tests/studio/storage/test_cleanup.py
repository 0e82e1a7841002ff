"""Clean-ups free what they say, can be undone, and leave what a run needs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.events import Evaluated, Event, Finished, Stopped
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import ExportFolder
from interfaces.problems import Code
from interfaces.run_records import RunMeta
from studio.datasets.library import list_datasets
from studio.storage import cleanup
from studio.storage.cleanup import clean_up, delete_for_good, finish_due, pending, proposals, undo
from studio.storage.usage import size_of
from tests.support.records import recorded_run, step
from trainer.data.dataset import add_dataset

END = Finished(step=4, peak_memory_bytes=1, seconds=1)


def trained(home: Home, end: Event, losses: dict[int, float] | None = None) -> RunFolder:
    """A run with checkpoints at steps 1 to 4."""
    evaluations = [Evaluated(step=at, loss=loss, examples=3, seconds=0.1) for at, loss in (losses or {}).items()]
    run = recorded_run(home, step(1, 4), *evaluations, end)
    for at in range(1, 5):
        run.checkpoint(at).mkdir(parents=True)
        (run.checkpoint(at) / "adapter_model.safetensors").write_bytes(os.urandom(1_000_000))
    return run


def steps(run: RunFolder) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in run.checkpoints.iterdir())


def test_best_and_last_checkpoint_of_finished_runs_stay(home: Home) -> None:
    finished = trained(home, END, {1: 3.0, 2: 1.0, 3: float("nan"), 4: 2.0})
    unmeasured = trained(home, END)
    stopped = trained(home, Stopped(step=4, resumable=True))
    [proposal] = proposals(home)
    assert (proposal.kind, proposal.count) == ("checkpoints", 5)
    assert proposal.bytes >= 5 * 1_000_000
    made = clean_up(home, "checkpoints")
    assert steps(finished) == [2, 4]
    assert steps(unmeasured) == [4]
    assert steps(stopped) == [1, 2, 3, 4]  # it may be resumed from each of them
    assert (made.count, made.bytes) == (proposal.count, proposal.bytes)
    assert proposals(home) == []


def test_undo_restores_everything_and_only_once(home: Home) -> None:
    run = trained(home, END)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    made = clean_up(home, "checkpoints")
    assert [one.id for one in pending(home)] == [made.id]
    undo(home, made.id)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    assert pending(home) == []
    for wrong in (made.id, "", "../trash", "x" * 300):
        with pytest.raises(FineTuneError) as raised:
            undo(home, wrong)
        assert raised.value.problems[0].code == Code.CLEANUP_OVER


def test_deleting_for_good_frees_what_was_said(home: Home) -> None:
    trained(home, END)
    [proposal] = proposals(home)
    before = size_of([home.path])
    made = clean_up(home, "checkpoints")
    delete_for_good(home, made.id)
    freed = before - size_of([home.path])
    assert abs(freed - proposal.bytes) <= 0.01 * proposal.bytes


def test_clean_ups_are_deleted_once_undo_is_over(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(home, END)
    made = clean_up(home, "checkpoints")
    finish_due(home)
    assert [one.id for one in pending(home)] == [made.id]
    monkeypatch.setattr(cleanup.time, "time", lambda: made.until + 1)
    finish_due(home)
    assert list(home.trash.iterdir()) == []


def test_a_killed_clean_up_can_be_undone_and_a_killed_deletion_ends(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(home, END)
    rename, done = Path.rename, []

    def killed(path: Path, target: Path) -> Path:
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        clean_up(home, "checkpoints")
    monkeypatch.undo()
    [made] = pending(home)
    undo(home, made.id)
    assert steps(run) == [1, 2, 3, 4]

    again = clean_up(home, "checkpoints")
    monkeypatch.setattr(shutil, "rmtree", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        delete_for_good(home, again.id)
    monkeypatch.undo()
    finish_due(home)
    assert list(home.trash.iterdir()) == []


def test_unused_datasets_exports_and_caches(home: Home, tmp_path: Path) -> None:
    names = {}
    for name in ("used", "unused"):
        file = tmp_path / f"{name}.jsonl"
        file.write_text(f'{{"instruction": "{name}?", "output": "I."}}\n')
        names[name] = add_dataset(home, file).id
    run = recorded_run(home, END)
    RunMeta(dataset_id=names["used"]).write(run)
    export = ExportFolder.create(run)
    export.create_attempt()
    export.events.write_text(END.model_dump_json() + "\n")
    waiting = ExportFolder.create(run)
    for one in (export, waiting):
        one.config.write_text("{}")
    (home.tokens / "a").mkdir(parents=True)
    assert {one.kind: one.count for one in proposals(home)} == {"exports": 1, "unused_datasets": 1, "caches": 1}
    for kind in ("exports", "unused_datasets", "caches"):
        clean_up(home, kind)
    assert [one.id for one in list_datasets(home)] == [names["used"]]
    assert not export.path.exists()
    assert waiting.path.exists()
    with pytest.raises(FineTuneError) as raised:
        clean_up(home, "caches")
    assert raised.value.problems[0].code == Code.NOTHING_TO_CLEAN
