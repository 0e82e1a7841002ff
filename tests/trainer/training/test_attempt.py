"""What all parts of an attempt share: settings with nothing left open, and events as they count."""

from pathlib import Path

import pytest
import torch

from interfaces.config import FineTuneConfig
from interfaces.events import Stopped
from interfaces.folders import RunFolder
from interfaces.history import RunHistory
from interfaces.problems import Code, Problem
from trainer.models.device import Compute
from trainer.training.attempt import AttemptContext, decided
from trainer.training.event_log import EventLog
from trainer.training.stop import StopSignal


@pytest.mark.parametrize(("device", "auto"), [("cuda", True), ("cpu", False)])
@pytest.mark.parametrize("asked", ["auto", True, False])
def test_auto_never_reaches_the_loop(device: str, auto: bool, asked: bool | str) -> None:
    config = FineTuneConfig(model_name="m", dataset="d", gradient_checkpointing=asked)
    compute = Compute(torch.device(device), torch.float32, 1)
    assert decided(config, compute).gradient_checkpointing is (auto if asked == "auto" else asked)


def test_a_warning_is_an_event_of_the_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    config = FineTuneConfig(model_name="m", dataset="d")
    with EventLog(folder.events, 1) as log:
        attempt = AttemptContext(
            config,
            folder,
            log,
            RunHistory(folder),
            StopSignal(folder, 1),
            Compute(torch.device("cpu"), torch.float32, 1),
        )
        problems = [
            Problem.warning(Code.NO_VALIDATION, rows=3, split=0.1),
            Problem.warning(Code.LEAK_REMOVED, count=1, rows=3, first=[1]),
        ]
        attempt.warn(*problems)
        log.append(Stopped(step=0, resumable=False))
        assert attempt.history.refresh().warnings == problems
