"""`finetune queue` and `--wait`, as processes beside a run that has the device."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from interfaces.folders import Home, RunFolder
from studio.launcher import LocalLauncher
from studio.run_queue import RunQueue
from studio.runs import RunState, run_state
from tests.conftest import alpaca_rows, until, write_rows
from tests.fakes import fake_trainer_package
from tests.studio.test_cli import config_file, finetune, refused

pytestmark = pytest.mark.process


@pytest.fixture
def busy(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunFolder]:
    """A run that has the device until it is let go."""
    for name, value in fake_trainer_package(tmp_path / "fake").items():
        monkeypatch.setenv(name, value)
    done = finetune("train", setting(tmp_path, "waits"), "--detach", home=home)
    assert done.returncode == 0, done.stderr
    (path,) = home.runs.iterdir()
    yield RunFolder(path)
    RunQueue(home).pause()
    for path in home.runs.iterdir():
        LocalLauncher().signal(RunFolder(path), signal.SIGKILL)


def setting(folder: Path, script: str) -> Path:
    rows = write_rows(folder / "rows.jsonl", alpaca_rows(4))
    return config_file(folder, {"model_name": "fake", "dataset": str(rows), "name": script})


def others(home: Home, first: RunFolder) -> list[RunFolder]:
    return [RunFolder(path) for path in sorted(home.runs.iterdir()) if path != first.path]


def test_without_wait_it_is_said_what_runs_and_nothing_is_made(home: Home, busy: RunFolder, tmp_path: Path) -> None:
    told = refused(finetune("train", setting(tmp_path, "finishes"), home=home))
    assert busy.id in told
    assert "--wait" in told
    assert others(home, busy) == []


def test_with_wait_it_waits_and_is_followed_to_its_end(home: Home, busy: RunFolder, tmp_path: Path) -> None:
    done = finetune("train", setting(tmp_path, "finishes"), "--wait", "--detach", home=home)
    assert done.returncode == 0, done.stderr
    (waits,) = others(home, busy)
    assert "Number 1 in the queue" in done.stdout
    assert busy.id in done.stdout
    (busy.path / "go on").touch()
    until(lambda: run_state(waits) is RunState.FINISHED)
    done = finetune("retry", waits.id, "--wait", home=home)
    assert done.returncode == 0, done.stderr


def test_the_queue_is_shown_moved_paused_and_left(home: Home, busy: RunFolder, tmp_path: Path) -> None:
    for _ in range(2):
        assert finetune("train", setting(tmp_path, "finishes"), "--wait", "--detach", home=home).returncode == 0
    first, second = (one.run for one in RunQueue(home).waiting())
    shown = finetune("queue", home=home).stdout.splitlines()
    assert [line.split()[1] for line in shown[1:]] == [busy.id, first, second]
    assert "is number 1" in finetune("queue", "move", second, "1", home=home).stdout
    told = json.loads(finetune("queue", "--json", home=home).stdout)
    assert [one["run"] for one in told["waiting"]] == [second, first]
    assert "has left the queue" in finetune("queue", "cancel", first, home=home).stdout
    assert "has left the queue" in finetune("stop", second, home=home).stdout
    assert "stopped" in refused(finetune("queue", "move", second, "1", home=home))
    finetune("queue", "pause", home=home)
    assert "paused" in finetune("queue", home=home).stdout
    (busy.path / "go on").touch()
    until(lambda: LocalLauncher().find(busy) is None)
    assert "go-on" in refused(finetune("train", setting(tmp_path, "finishes"), home=home))
    assert (
        "Number 1 in the queue: the queue is paused"
        in finetune("train", setting(tmp_path, "finishes"), "--wait", "--detach", home=home).stdout
    )
    (waits,) = [one.run for one in RunQueue(home).waiting()]
    assert f"Started: {waits}" in finetune("queue", "go-on", home=home).stdout
    until(lambda: run_state(home.run(waits)) is RunState.FINISHED)
