"""The studio's `IFineTuneService`: a supervisor and its trainer execute the run in other processes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from interfaces.errors import FineTuneError
from interfaces.events import read_tail
from interfaces.finetune import IFineTuneService, TrainingResult
from interfaces.folders import RunFolder
from interfaces.history import RunHistory
from interfaces.problems import Code
from interfaces.result import result_of
from interfaces.run_config import Settings
from interfaces.trainer_jobs import WrittenPath
from interfaces.validation import config_errors
from studio.processes.launcher import Launcher, launcher_of
from studio.processes.trainer_child import run_trainer
from studio.runs.diagnosis import problem_of_run
from studio.runs.queue import RunQueue
from studio.runs.state import follow, run_state

LEAVING_SECONDS = 60.0


class SupervisedTrainer(IFineTuneService):
    """Queues a run, which starts when its device is free and continues if this process ends.

    The config's `output_dir` is the run folder; `FinetuneManager` fills it in.
    """

    def __init__(self, launcher: Launcher | None = None, folder: RunFolder | None = None) -> None:
        self._launcher = launcher
        self._folder = folder

    def validate_config(self, config: dict[str, Any]) -> bool:
        return not config_errors(config)

    def submit(self, config: Settings) -> None:
        self._submit(config)

    def train(self, config: dict[str, Any]) -> dict[str, Any]:
        folder = self._submit(config)
        queue = RunQueue(folder.home, self._launcher)
        history = RunHistory(folder)
        for _ in follow(history):
            if folder.is_waiting:
                queue.tend()
        return dict(result_of_run(history))

    def _submit(self, config: Settings) -> RunFolder:
        if errors := config_errors(config):
            raise FineTuneError(*errors)
        if not config.get("output_dir"):
            raise FineTuneError.of(Code.VALUE_MISSING, field="output_dir")
        folder = self._folder = RunFolder(Path(str(config["output_dir"])))
        wait_until_gone(folder, self._launcher)
        RunQueue(folder.home, self._launcher).submit(folder)
        return folder

    def export_model(self, output_path: Path) -> Path:
        if self._folder is None:
            raise FineTuneError.of(Code.VALUE_MISSING, field="output_dir")
        folder = str(self._folder.path)
        out = str(Path(output_path).expanduser().absolute())
        return Path(run_trainer(["export", folder, "--out", out], WrittenPath).path)


def wait_until_gone(folder: RunFolder, launcher: Launcher | None = None) -> None:
    """Wait until the processes of a run exit after its final event, free their memory, and write `exit.json`.

    Raises:
        FineTuneError: they still exist after a minute.
    """
    launcher = launcher or launcher_of(folder.home)
    deadline = time.monotonic() + LEAVING_SECONDS
    while launcher.find(folder) is not None and run_state(folder, launcher=launcher).is_over:
        if time.monotonic() > deadline:
            raise FineTuneError.of(Code.RUN_ACTIVE, run=folder.id, state="ending")
        time.sleep(0.05)


def result_of_run(history: RunHistory) -> TrainingResult:
    """The result as it stands on the disk, with the state and the problem of a trainer that left without a word."""
    folder, tail = history.folder, read_tail(history.folder.events)
    state = run_state(folder, tail)
    reported = state.value if state.is_over else "interrupted"
    result = result_of(history.refresh(), reported)  # type: ignore[arg-type]
    problem = problem_of_run(folder, tail) if state == "failed" else None
    result["problem"] = problem.model_dump(mode="json") if problem else None
    return result
