import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from interfaces.folders import Home
from interfaces.problems import Code, FineTuneError
from studio.finetune_manager import FinetuneManager
from tests.fakes import FakeFineTuneService

CONFIG = {"model_name": "starter", "dataset": "rows.jsonl", "max_length": 99, "lora": {"r": 4}, "name": "My run"}


@pytest.fixture
def manager(home: Home) -> FinetuneManager:
    return FinetuneManager(FakeFineTuneService(), home)


def test_start_training_calls_the_injected_service_once_with_the_stored_config(home: Home) -> None:
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
def test_an_unknown_task_is_said_to_be_unknown(manager: FinetuneManager, task: str) -> None:
    with pytest.raises(FineTuneError) as raised:
        manager.start_training(task)
    assert raised.value.problems[0].code == Code.RUN_NOT_FOUND


def test_in_the_background_the_caller_goes_on_and_errors_come_with_the_result(home: Home) -> None:
    go = threading.Event()

    class Slow(FakeFineTuneService):
        def train(self, config: dict[str, Any]) -> dict[str, Any]:
            go.wait(10)
            raise FineTuneError.of(Code.FILE_EMPTY, path="a")

    manager = FinetuneManager(Slow(), home)
    future = manager.start_in_background(manager.create_task(CONFIG))
    assert not future.done()
    go.set()
    with pytest.raises(FineTuneError):
        future.result(10)


def test_a_run_that_does_not_run_cannot_be_stopped(manager: FinetuneManager) -> None:
    with pytest.raises(FineTuneError) as raised:
        manager.request_stop(manager.create_task(CONFIG))
    assert raised.value.problems[0].code == Code.RUN_NOT_ACTIVE


def test_no_space_no_task(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.finetune_manager.SPACE_BYTES", 10**18)
    with pytest.raises(FineTuneError) as raised:
        FinetuneManager(FakeFineTuneService(), home).create_task(CONFIG)
    assert raised.value.problems[0].code == Code.DISK_FULL


def test_the_home_may_be_left_to_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_HOME", str(tmp_path / "elsewhere"))
    manager = FinetuneManager(FakeFineTuneService())
    assert manager.home.run(manager.create_task(CONFIG)).path.is_relative_to(tmp_path / "elsewhere")
