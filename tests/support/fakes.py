"""Fakes at the seams: one service, one trainer process of twenty lines, one launcher without processes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from interfaces import IFineTuneService
from interfaces.events import Finished, Started, Step
from interfaces.files import write_json
from interfaces.folders import Attempt, Home, RunFolder
from interfaces.validation import config_problems
from studio.processes.launcher import LAUNCHERS, Liveness
from trainer.training.event_log import EventLog


class FakeFineTuneService(IFineTuneService):
    """Keeps the contract without doing anything; remembers what it was asked."""

    def __init__(self) -> None:
        self.trained: list[dict[str, Any]] = []

    def train(self, config: dict[str, Any]) -> dict[str, Any]:
        self.trained.append(config)
        return {"state": "finished"}

    def export_model(self, output_path: Path) -> Path:
        return output_path

    def validate_config(self, config: dict[str, Any]) -> bool:
        return not config_problems(config)


FAKE_TRAINER = """
import os, sys, time, yaml
from pathlib import Path
from interfaces.events import Failed, Finished, Started, Step, Stopped, Stopping
from interfaces.folders import RunFolder
from interfaces.problems import Code, Problem
from trainer.training.event_log import EventLog
from trainer.training.stop import StopSignal

folder, attempt, script = RunFolder(Path(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
stop, log = StopSignal(folder, attempt), EventLog(folder.events, attempt)
if script != "deaf":
    stop.listen()
else:
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
log.append(Started(run=folder.id, model_name="fake", device="cpu", dtype="float32", threads=1))
for number in range(1, 4):
    log.append(Step(step=number, total_steps=3, epoch=number / 3, loss=1 / number, learning_rate=1e-3, tokens=10,
                    trained_tokens=5, seconds=0.1, memory_bytes=1))
while script == "deaf" or (script == "waits" and stop.mode is None and not (folder.path / "go on").exists()):
    time.sleep(0.02)
if script == "crashes":
    os._exit(7)
if script == "out of memory":
    from interfaces.config import FineTuneConfig
    from trainer.training.failures import out_of_memory
    print("CUDA out of memory. Tried to allocate 2.00 GiB")
    log.append(Failed(step=3, problem=out_of_memory(FineTuneConfig.model_validate(yaml.safe_load(folder.config.read_text())), "cuda")))
    sys.exit(1)
elif script == "fails":
    log.append(Failed(step=3, problem=Problem.error(Code.NO_CHAT_TEMPLATE, model="fake")))
    sys.exit(1)
elif stop.mode or script == "lingers":
    log.append(Stopping(mode="save", within_seconds=6.4))
    log.append(Stopped(step=3, resumable=False))
    time.sleep(0.7 if script == "lingers" else 0)  # its last word is said, its memory not yet freed
elif script == "stays":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    log.append(Stopped(step=3, resumable=False))
    while True:
        time.sleep(1)
else:
    print("done")
    log.append(Finished(step=3, adapter="adapter", peak_memory_bytes=1, seconds=1.0))
"""


def fake_trainer(script: str):
    """A command for `LocalLauncher`: a real process that finishes | waits | crashes | fails | lingers | stays | is deaf."""

    def command(folder: RunFolder, attempt: Attempt) -> list[str]:
        return [sys.executable, "-P", "-c", FAKE_TRAINER, str(folder.path), str(attempt.number), script]

    return command


def fake_trainer_package(place: Path) -> Mapping[str, str]:
    """An environment in which `python -m trainer` is the fake, for every process, also those that nobody here starts.

    What it does is the run's `name`: finishes | waits | crashes | fails | ...; all else that `trainer` does is real.
    """
    package = place / "trainer"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n"
    )
    main = """
import sys, yaml
from pathlib import Path
if sys.argv[1] != "run":
    from trainer.cli import main
    sys.exit(main())
folder, attempt = sys.argv[2], sys.argv[4]
sys.argv = [sys.argv[0], folder, attempt, yaml.safe_load((Path(folder) / "config.yaml").read_text())["name"]]
"""
    (package / "__main__.py").write_text(main + FAKE_TRAINER)
    return {"PYTHONPATH": str(place)}


def install(folder: Path, name: str, version: str) -> None:
    """What an installed library leaves of itself for whoever asks."""
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


STARTED = Started(run="r", model_name="m", device="cpu", dtype="float32", threads=1)


def first_step(total_steps: int) -> Step:
    return Step(
        step=1, total_steps=total_steps, epoch=1, loss=1, learning_rate=1, tokens=1, trained_tokens=1, seconds=1, memory_bytes=1
    )  # fmt: skip


class FakeCluster:
    """A second launcher: its jobs are files, not processes. A job runs until `finish` is called, or it is signaled."""

    def start(self, folder: RunFolder) -> Attempt:
        attempt = folder.create_attempt()
        write_json(attempt.pid, {})
        (attempt.path / "job").touch()
        with EventLog(folder.events, attempt.number) as log:
            log.append(STARTED.model_copy(update={"run": folder.id}))
            log.append(first_step(2))
        return attempt

    def find(self, folder: RunFolder) -> Attempt | None:
        return next((one for one in reversed(folder.attempts()) if self.state(one) == "alive"), None)

    def signal(self, folder: RunFolder, number: signal.Signals) -> bool:
        attempt = self.find(folder)
        if attempt is not None:
            (attempt.path / "job").unlink()
        return attempt is not None

    def state(self, attempt: Attempt) -> Liveness:
        return "alive" if (attempt.path / "job").exists() else "gone"

    def finish(self, folder: RunFolder) -> None:
        attempt = folder.attempts()[-1]
        with EventLog(folder.events, attempt.number) as log:
            log.append(Finished(step=2, adapter="adapter", peak_memory_bytes=1, seconds=1.0))
        (attempt.path / "job").unlink()


def on_a_cluster(home: Home, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """Have the runs of a home started by the fake cluster, as its settings say."""
    monkeypatch.setitem(LAUNCHERS, "fake", FakeCluster)
    home.path.mkdir(parents=True, exist_ok=True)
    write_json(home.settings, {"launcher": "fake"})
    return FakeCluster()
