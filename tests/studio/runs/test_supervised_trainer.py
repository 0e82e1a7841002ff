from pathlib import Path
from typing import Any

import pytest

from interfaces import IFineTuneService
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from studio.finetune_manager import FinetuneManager
from studio.processes.launcher import LocalLauncher
from studio.runs.supervised_trainer import SupervisedTrainer
from tests.support.fakes import fake_trainer

pytestmark = pytest.mark.process

CONFIG = {"model_name": "starter", "dataset": "rows.jsonl"}


def carried_out(home: Home, script: str) -> dict[str, Any]:
    manager = FinetuneManager(SupervisedTrainer(LocalLauncher(fake_trainer(script))), home)
    return manager.start_training(manager.create_task(CONFIG))


def test_implements_the_interface(home: Home) -> None:
    service = SupervisedTrainer()
    assert isinstance(service, IFineTuneService)
    assert service.validate_config(CONFIG) is True
    assert service.validate_config({"nonsense": 1}) is False
    with pytest.raises(FineTuneError):
        service.train({"nonsense": 1})
    with pytest.raises(FineTuneError) as raised:
        service.train(CONFIG)
    assert raised.value.problems[0].params["field"] == "output_dir"
    with pytest.raises(FineTuneError):
        service.export_model(Path("/x"))


def test_the_result_is_read_from_the_folder(home: Home) -> None:
    result = carried_out(home, "finishes")
    assert (result["state"], result["steps"], result["train_loss_first"]) == ("finished", 3, 1.0)
    assert result["tokens_per_second"] == pytest.approx(100)


@pytest.mark.parametrize(("script", "code"), [("crashes", Code.TRAINER_ENDED), ("fails", Code.NO_CHAT_TEMPLATE)])
def test_a_failed_run_is_a_result_with_its_reason(home: Home, script: str, code: Code) -> None:
    result = carried_out(home, script)
    assert (result["state"], result["problem"]["code"]) == ("failed", code)


def test_running_run_is_followed_not_restarted(home: Home) -> None:
    launcher = LocalLauncher(fake_trainer("waits"))
    manager = FinetuneManager(SupervisedTrainer(launcher), home)
    task = manager.create_task(CONFIG)
    launcher.start(home.run(task))
    (home.run(task).path / "go on").touch()
    assert manager.start_training(task)["state"] == "finished"
    assert len(home.run(task).attempts()) == 1


def test_a_start_waits_for_the_last_process_to_leave(home: Home) -> None:
    """A resume right after a stop: the stopped trainer is still freeing its memory."""
    slow_to_leave = LocalLauncher(fake_trainer("lingers"))
    manager = FinetuneManager(SupervisedTrainer(slow_to_leave), home)
    task = manager.create_task(CONFIG)
    assert manager.start_training(task)["state"] == "stopped"
    assert slow_to_leave.find(home.run(task)) is not None
    manager.start_training(task)
    assert len(home.run(task).attempts()) == 2
