import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from interfaces.errors import FineTuneError
from interfaces.evaluations import EvaluationSpec
from interfaces.events import Finished
from interfaces.files import read_json, write_json
from interfaces.folders import Home
from interfaces.job_folders import EvaluationFolder
from interfaces.problems import Code
from studio.finetune_manager import FinetuneManager
from studio.runs.state import RunState, interrupted_runs, run_state
from studio.runs.supervised_trainer import SupervisedTrainer
from tests.support.fakes import FakeFineTuneService, on_a_cluster
from trainer.training.event_log import EventLog

CONFIG = {"model_name": "starter", "dataset": "rows.jsonl", "max_length": 99, "lora": {"r": 4}, "name": "My run"}


@pytest.fixture
def manager(home: Home) -> FinetuneManager:
    return FinetuneManager(FakeFineTuneService(), home)


def test_start_training_calls_the_service_once_with_the_stored_config(home: Home) -> None:
    fake = FakeFineTuneService()
    manager = FinetuneManager(fake, home)
    assert manager.trainer is fake
    task = manager.create_task(CONFIG)
    assert manager.start_training(task) == {"state": "finished"}
    assert fake.trained == [manager.config(task)]
    assert (fake.trained[0]["max_length"], fake.trained[0]["lora"]["r"]) == (99, 4)
    assert fake.trained[0]["output_dir"] == str(home.run(task).path)


def test_a_task_is_a_snapshot(manager: FinetuneManager, home: Home) -> None:
    mine: dict[str, Any] = {**CONFIG}
    task = manager.create_task(mine)
    mine["max_length"] = 5000
    assert manager.config(task)["max_length"] == 99
    stored = yaml.safe_load(home.run(task).config.read_text())
    assert "output_dir" not in stored  # a home may be moved
    assert stored["schema_version"] == 1


def test_a_task_with_a_gate_has_its_evaluation_from_the_start(manager: FinetuneManager, home: Home) -> None:
    task = manager.create_task({**CONFIG, "gate": "exact match >= 0.8"})
    [evaluation] = EvaluationFolder.all_of(home.run(task))
    assert EvaluationSpec.of(evaluation).gate == "exact match >= 0.8"


def test_a_restarted_manager_knows_its_tasks(manager: FinetuneManager, home: Home) -> None:
    task = manager.create_task(CONFIG)
    fake = FakeFineTuneService()
    FinetuneManager(fake, home).start_training(task)
    assert fake.trained[0]["max_length"] == 99


def test_a_bad_config_makes_no_task(manager: FinetuneManager, home: Home) -> None:
    with pytest.raises(FineTuneError) as raised:
        manager.create_task({"max_length": 0, "nonsense": 1})
    assert len(raised.value.problems) == 2
    assert not home.runs.exists()


@pytest.mark.parametrize("task", ["none", "../datasets", ""])
def test_unknown_task_raises(manager: FinetuneManager, task: str) -> None:
    with pytest.raises(FineTuneError) as raised:
        manager.start_training(task)
    assert raised.value.problems[0].code == Code.RUN_NOT_FOUND


def test_service_without_submit_trains_to_the_end(home: Home) -> None:
    fake = FakeFineTuneService()
    manager = FinetuneManager(fake, home)
    task = manager.create_task(CONFIG)
    manager.launch(task)
    assert fake.trained == [manager.config(task)]


def test_inactive_run_cannot_be_stopped(manager: FinetuneManager) -> None:
    with pytest.raises(FineTuneError) as raised:
        manager.request_stop(manager.create_task(CONFIG))
    assert raised.value.problems[0].code == Code.RUN_NOT_ACTIVE


def test_no_space_no_task(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.finetune_manager.SPACE_BYTES", 10**18)
    with pytest.raises(FineTuneError) as raised:
        FinetuneManager(FakeFineTuneService(), home).create_task(CONFIG)
    assert raised.value.problems[0].code == Code.DISK_FULL


def test_home_defaults_to_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_HOME", str(tmp_path / "elsewhere"))
    manager = FinetuneManager(FakeFineTuneService())
    assert manager.home.run(manager.create_task(CONFIG)).path.is_relative_to(tmp_path / "elsewhere")


def test_run_starts_from_adapter_found_by_partial_id(manager: FinetuneManager, home: Home, tmp_path: Path) -> None:
    source = manager.create_task(CONFIG)
    with pytest.raises(FineTuneError, match="no result"):
        manager.config_for_rerun(source, continue_training=True)
    home.run(source).checkpoint(5).mkdir(parents=True)
    again = manager.config_for_rerun(source, continue_training=True)
    assert again == {**manager.config_for_rerun(source), "adapter_name_or_path": source}
    task = manager.create_task({**CONFIG, "adapter_name_or_path": source[-4:]})
    assert manager.config(task)["adapter_name_or_path"] == source
    with pytest.raises(FineTuneError) as raised:
        manager.create_task({**CONFIG, "adapter_name_or_path": "nothing-like-it"})
    assert raised.value.problems[0].code == Code.RUN_NOT_FOUND
    task = manager.create_task({**CONFIG, "adapter_name_or_path": str(tmp_path)})
    assert manager.config(task)["adapter_name_or_path"] == str(tmp_path)


def test_a_whole_model_is_continued_as_the_base_model(manager: FinetuneManager, home: Home) -> None:
    source = manager.create_task({**CONFIG, "tuning": "full"})
    run = home.run(source)
    with pytest.raises(FineTuneError, match=source):
        manager.config_for_rerun(source, continue_training=True)
    for place in (run.checkpoint(5), run.model):
        place.mkdir(parents=True)
        (place / "config.json").write_text("{}")
        again = manager.config_for_rerun(source, continue_training=True)
        assert again == {**manager.config_for_rerun(source), "model_name": str(place)}
    (run.model / "model.safetensors").write_bytes(b"weights")
    follower = manager.create_task(again)
    kept = Path(str(manager.config(follower)["model_name"]))
    assert kept == home.run(follower).first_model / f"{source}-model"
    third = manager.create_task(manager.config_for_rerun(follower))
    shutil.rmtree(run.path)
    for one in (follower, third):  # whatever becomes of the run that it was trained in
        place = Path(str(manager.config(one)["model_name"]))
        assert (place.name, (place / "model.safetensors").read_bytes()) == (kept.name, b"weights")
    source = manager.create_task({**CONFIG, "tuning": "full"})
    (home.run(source).model).mkdir()
    (home.run(source).model / "config.json").write_text("{}")
    with pytest.raises(FineTuneError, match="base model"):
        manager.create_task({**CONFIG, "adapter_name_or_path": source})


def interrupted(manager: FinetuneManager, home: Home, attempts: int) -> str:
    """A run whose processes are gone without a word."""
    task = manager.create_task(CONFIG)
    for _ in range(attempts):
        write_json(home.run(task).create_attempt().pid, {"supervisor": None, "trainer": None})
    return task


def test_interrupted_runs_resume_in_turn_with_attempt_limit(home: Home) -> None:
    fake = FakeFineTuneService()
    manager = FinetuneManager(fake, home)
    first = interrupted(manager, home, 1)
    second = interrupted(manager, home, 2)
    interrupted(manager, home, 5)
    manager.create_task(CONFIG)  # never started: nobody asked for it
    broken = interrupted(manager, home, 1)
    home.run(broken).config.write_text(": [")
    assert manager.resume_interrupted() == sorted([first, second]), "one that can't be read doesn't keep the others"
    assert [Path(config["output_dir"]).name for config in fake.trained] == sorted([first, second])


def test_finished_and_active_runs_are_not_resumed(manager: FinetuneManager, home: Home) -> None:
    task = manager.create_task(CONFIG)
    with EventLog(home.run(task).events, 1) as log:
        log.append(Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1))
    home.run(task).create_attempt()
    with pytest.raises(FineTuneError) as raised:
        manager.resume(task)
    assert raised.value.problems[0].code == Code.RUN_FINISHED
    home.run(task).create_attempt()
    with pytest.raises(FineTuneError) as raised:  # attempt 2 is being started
        manager.resume(task)
    assert raised.value.problems[0].code == Code.RUN_ACTIVE


def test_rerun_has_the_same_start(manager: FinetuneManager, home: Home, tmp_path: Path) -> None:
    task = manager.create_task({**CONFIG, "adapter_name_or_path": str(tmp_path)})
    home.run(task).first_adapter.mkdir()
    assert manager.config_for_rerun(task)["adapter_name_or_path"] == str(home.run(task).first_adapter)
    assert manager.config(manager.create_task(manager.config_for_rerun(task)))["adapter_name_or_path"] == str(
        home.run(task).first_adapter
    )


def test_a_run_can_be_named_by_its_folder(manager: FinetuneManager, home: Home) -> None:
    source = manager.create_task(CONFIG)
    home.run(source).adapter.mkdir()
    task = manager.create_task({**CONFIG, "adapter_name_or_path": str(home.run(source).path)})
    assert manager.config(task)["adapter_name_or_path"] == source
    with pytest.raises(FineTuneError) as raised:
        manager.create_task({**CONFIG, "adapter_name_or_path": "/no/such/folder"})
    assert raised.value.problems[0].code == Code.ADAPTER_UNUSABLE


def test_a_config_that_cannot_be_read_is_named(manager: FinetuneManager, home: Home) -> None:
    task = manager.create_task(CONFIG)
    home.run(task).config.write_text(": [")
    with pytest.raises(FineTuneError) as raised:
        manager.config(task)
    assert raised.value.problems[0].params["path"] == str(home.run(task).config)


def test_later_stop_does_not_undo_a_discard(manager: FinetuneManager, home: Home) -> None:
    task = manager.create_task(CONFIG)
    home.run(task).create_attempt()
    manager.request_stop(task, discard=True)
    manager.request_stop(task)
    assert (read_json(home.run(task).stop) or {})["mode"] == "discard"


def test_other_version_run_is_not_resumed_or_changed(home: Home) -> None:
    service = FakeFineTuneService()
    manager = FinetuneManager(service, home)
    folder = home.run(manager.create_task({"dataset": "rows.jsonl"}))
    folder.lineage.write_text('{"schema_version": 2}')
    with pytest.raises(FineTuneError, match="schema version 2"):
        manager.resume(folder.id)
    assert service.trained == []
    assert folder.lineage.read_text() == '{"schema_version": 2}'
    assert folder.attempts() == []


def test_runs_of_another_launcher_are_started_followed_and_resumed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = on_a_cluster(home, monkeypatch)
    manager = FinetuneManager(SupervisedTrainer(), home)
    first, second = manager.launch_new(CONFIG), manager.launch_new(CONFIG)
    assert [run_state(home.run(run)) for run in (first, second)] == [RunState.RUNNING, RunState.QUEUED]
    cluster.finish(home.run(first))
    manager.queue.advance()
    assert [run_state(home.run(run)) for run in (first, second)] == [RunState.FINISHED, RunState.RUNNING]
    manager.request_stop(second)
    assert run_state(home.run(second)) is RunState.STOPPING
    cluster.signal(home.run(second), signal.SIGKILL)
    assert [run.id for run in interrupted_runs(home)] == [second]
    manager.resume(second)
    assert run_state(home.run(second)) is RunState.RUNNING
