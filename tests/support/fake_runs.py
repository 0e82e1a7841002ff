"""Runs whose trainer is the fake: started with a supervisor of their own, or put in the queue."""

from __future__ import annotations

from interfaces.files import read_json
from interfaces.folders import Attempt, Home, RunFolder
from interfaces.process import ProcessIdentity
from studio.finetune_manager import FinetuneManager
from studio.processes.launcher import LocalLauncher
from studio.runs.queue import RunQueue
from studio.runs.state import run_state
from tests.support.fakes import FakeFineTuneService, fake_trainer


def start(home: Home, script: str) -> tuple[RunFolder, Attempt]:
    folder = home.create_run()
    folder.config.write_text("{}")
    return folder, LocalLauncher(fake_trainer(script)).start(folder)


def identity(attempt: Attempt, who: str) -> ProcessIdentity:
    found = ProcessIdentity.from_record((read_json(attempt.pid) or {})[who])
    assert found is not None
    return found


def make_run(queue: RunQueue, script: str = "finishes") -> RunFolder:
    manager = FinetuneManager(FakeFineTuneService(), queue.home)
    return queue.home.run(manager.create_task({"model_name": "fake", "dataset": "rows", "name": script}))


def has_ended(*folders: RunFolder) -> bool:
    return all(run_state(folder).is_over and LocalLauncher().find(folder) is None for folder in folders)


def let_go(folder: RunFolder) -> None:
    (folder.path / "go on").touch()
