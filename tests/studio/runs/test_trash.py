import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from interfaces.run_records import RunMeta
from studio.processes.launcher import LocalLauncher
from studio.runs.queue import RunQueue
from studio.runs.state import run_state
from studio.runs.trash import delete_run, empty_trash, restore_run, trash_of
from tests.conftest import until
from tests.support.fakes import fake_trainer, on_a_cluster


def run_in(home: Home) -> RunFolder:
    folder = home.create_run()
    folder.config.write_text("{}")
    return folder


def test_what_was_deleted_can_be_brought_back(home: Home) -> None:
    folder = run_in(home)
    delete_run(folder)
    assert not folder.path.exists()
    assert restore_run(home, folder.id) == folder
    assert folder.config.read_text() == "{}"


def test_active_run_is_not_deleted(home: Home) -> None:
    folder = run_in(home)
    LocalLauncher(fake_trainer("waits")).start(folder)
    with pytest.raises(FineTuneError) as raised:
        delete_run(folder)
    assert raised.value.problems[0].code == Code.RUN_ACTIVE


def test_a_run_is_deleted_although_its_finished_process_still_frees_memory(home: Home) -> None:
    folder = run_in(home)
    LocalLauncher(fake_trainer("lingers")).start(folder)
    until(lambda: run_state(folder).is_over)
    delete_run(folder)
    assert not folder.path.exists()


@pytest.mark.parametrize("run_id", ["", "none", "../runs", "..", "/etc"])
def test_only_deleted_runs_are_restored(home: Home, run_id: str) -> None:
    with pytest.raises(FineTuneError) as raised:
        restore_run(home, run_id)
    assert raised.value.problems[0].code == Code.RUN_NOT_FOUND


def test_a_run_of_another_launcher_is_deleted_once_it_has_ended(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = on_a_cluster(home, monkeypatch)
    folder = home.create_run()
    folder.config.write_text("{}")
    cluster.start(folder)
    with pytest.raises(FineTuneError):
        delete_run(folder)
    cluster.finish(folder)
    delete_run(folder)
    assert not folder.path.exists()


def test_run_cannot_start_during_deletion(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.runs.queue.LOCK_SECONDS", 0.05)
    folder = home.create_run()
    folder.config.write_text("{}")
    with RunQueue(home).alone(), pytest.raises(FineTuneError) as raised:
        delete_run(folder)
    assert raised.value.problems[0].code is Code.QUEUE_HELD
    assert folder.path.exists()


def test_trash_is_listed_and_emptied(home: Home) -> None:
    assert trash_of(home) == []
    first, second = run_in(home), run_in(home)
    RunMeta(name="mine").write(second)
    delete_run(first)
    delete_run(second)
    assert {(run.id, run.name) for run in trash_of(home)} == {(first.id, ""), (second.id, "mine")}
    (home.trash / "dataset-1").mkdir()
    assert all(run.size_bytes >= 2 and run.deleted > 1e9 for run in trash_of(home))
    assert empty_trash(home) >= 4
    assert trash_of(home) == []
    assert [path.name for path in home.trash.iterdir()] == ["dataset-1"]
    with pytest.raises(FineTuneError):
        restore_run(home, first.id)
