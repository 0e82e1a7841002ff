"""Clean-ups free what they say, can be undone, and leave what a run needs."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.evaluations import EvaluationSpec
from interfaces.events import Evaluated, Event, Finished, Stopped
from interfaces.files import write_json
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import EvaluationFolder, ExportFolder
from interfaces.problems import Code
from interfaces.run_control import Ticket
from interfaces.run_records import RunMeta
from studio.datasets.library import list_datasets
from studio.runs.queue import RunQueue
from studio.runs.trash import delete_run, restore_run
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
    monkeypatch.setattr(cleanup, "remove", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        delete_for_good(home, again.id)
    monkeypatch.undo()
    finish_due(home)
    assert list(home.trash.iterdir()) == []


def test_unused_datasets_exports_and_caches(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "JUST_ADDED_SECONDS", 0)
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


def dataset(home: Home, tmp_path: Path, name: str) -> str:
    file = tmp_path / f"{name}.jsonl"
    file.write_text(f'{{"instruction": "{name}?", "output": "I."}}\n')
    return add_dataset(home, file).id


def test_datasets_of_deleted_unreadable_and_waiting_runs_are_kept(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "JUST_ADDED_SECONDS", 0)
    deleted, newer, waiting, evaluated, unused = (dataset(home, tmp_path, name) for name in "abcde")
    run = recorded_run(home, END)
    RunMeta(dataset_id=deleted).write(run)
    delete_run(run)
    write_json(recorded_run(home, END).meta, {"dataset_id": newer})
    meta = next(home.runs.iterdir()) / "meta.json"
    meta.write_text(meta.read_text().replace('"schema_version": 1', '"schema_version": 99'))
    evaluation = EvaluationFolder.create(RunFolder(meta.parent))
    write_json(evaluation.config, {"dataset": evaluated, "of_another": "version"})
    home.sweeps.mkdir()
    write_json(home.sweeps / "20200101-000000-abcd.json", {"config": {"dataset": waiting}})
    [proposal] = proposals(home)
    assert (proposal.kind, proposal.count) == ("unused_datasets", 1)
    clean_up(home, "unused_datasets")
    assert unused not in {one.id for one in list_datasets(home)}
    assert len(list_datasets(home)) == 4


def test_a_dataset_that_was_just_added_is_kept(home: Home, tmp_path: Path) -> None:
    dataset(home, tmp_path, "new")
    assert proposals(home) == []


def test_checkpoints_of_waiting_evaluations_are_kept(home: Home) -> None:
    run = trained(home, END)
    RunQueue(home).pause()
    evaluation = EvaluationFolder.create(run)
    EvaluationSpec(dataset="d", step=2).write(evaluation)
    Ticket("cpu", 1.0, attempts=0).write(evaluation.ticket)
    clean_up(home, "checkpoints")
    assert steps(run) == [2, 4]
    (home.tokens / "a").mkdir(parents=True)
    with pytest.raises(FineTuneError) as raised:
        clean_up(home, "caches")
    assert raised.value.problems[0].code == Code.CACHES_IN_USE


def test_undo_follows_a_run_into_the_trash(home: Home) -> None:
    run = trained(home, END)
    made = clean_up(home, "checkpoints")
    delete_run(run)
    undo(home, made.id)
    assert not run.path.exists()
    restore_run(home, run.id)
    assert steps(run) == [1, 2, 3, 4]


def test_undone_exports_take_numbers_that_are_free(home: Home) -> None:
    run = recorded_run(home, END)
    for content in ("old", "new"):
        export = ExportFolder.create(run)
        export.config.write_text("{}")
        export.create_attempt()
        export.events.write_text(END.model_dump_json() + "\n")
        (export.path / "model").write_text(content)
        if content == "old":
            made = clean_up(home, "exports")
    undo(home, made.id)
    assert [(one.path / "model").read_text() for one in ExportFolder.all_of(run)] == ["new", "old"]


def test_an_unreadable_record_deletes_nothing(home: Home) -> None:
    trained(home, END)
    made = clean_up(home, "checkpoints")
    record = home.trash / f"cleanup-{made.id}" / "record.json"
    for content in ("", record.read_text().replace('"schema_version": 1', '"schema_version": 99')):
        record.write_text(content)
        finish_due(home)
        assert pending(home) == []
        assert len(list(record.parent.iterdir())) == 4


def test_what_cannot_be_moved_stays(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(home, END)
    rename, done = Path.rename, []

    def failing(path: Path, target: Path) -> Path:
        if path.name.startswith("step-"):
            done.append(path)
            if len(done) == 2:
                raise OSError(errno.EXDEV, "another disk")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="another disk"):
        clean_up(home, "checkpoints")
    assert steps(run) == [1, 2, 3, 4]
    assert pending(home) == []
