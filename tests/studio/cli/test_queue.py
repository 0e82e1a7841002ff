"""`finetune queue` and `--wait`, as processes beside a run that has the device."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from interfaces.folders import Home, RunFolder
from studio.processes.launcher import LocalLauncher
from studio.runs.queue import RunQueue
from studio.runs.state import RunState, run_state
from studio.runs.trash import delete_run
from tests.conftest import alpaca_rows, until, write_rows
from tests.support.fakes import fake_trainer_package
from tests.support.terminal import FINETUNE, config_file, finetune, refused

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


def test_busy_device_without_wait_creates_no_run(home: Home, busy: RunFolder, tmp_path: Path) -> None:
    reported = refused(finetune("train", setting(tmp_path, "finishes"), home=home))
    assert busy.id in reported
    assert "--wait" in reported
    assert others(home, busy) == []


def test_wait_queues_and_follows_the_run(home: Home, busy: RunFolder, tmp_path: Path) -> None:
    done = finetune("train", setting(tmp_path, "finishes"), "--wait", "--detach", home=home)
    assert done.returncode == 0, done.stderr
    (waits,) = others(home, busy)
    assert "Position 1 in the queue" in done.stdout
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
    assert "is now at position 1" in finetune("queue", "move", second, "1", home=home).stdout
    reported = json.loads(finetune("queue", "--json", home=home).stdout)
    assert [one["run"] for one in reported["waiting"]] == [second, first]
    assert "was removed from the queue" in finetune("queue", "cancel", first, home=home).stdout
    assert "was removed from the queue" in finetune("stop", second, home=home).stdout
    assert "stopped" in refused(finetune("queue", "move", second, "1", home=home))
    finetune("queue", "pause", home=home)
    assert "paused" in finetune("queue", home=home).stdout
    (busy.path / "go on").touch()
    until(lambda: LocalLauncher().find(busy) is None)
    assert "resume" in refused(finetune("train", setting(tmp_path, "finishes"), home=home))
    assert (
        "Position 1 in the queue: the queue is paused"
        in finetune("train", setting(tmp_path, "finishes"), "--wait", "--detach", home=home).stdout
    )
    (waits,) = [one.run for one in RunQueue(home).waiting()]
    assert f"Started: {waits}" in finetune("queue", "resume", home=home).stdout
    until(lambda: run_state(home.run(waits)) is RunState.FINISHED)


def test_listing_starts_nothing_and_resuming_does(home: Home, busy: RunFolder, tmp_path: Path) -> None:
    assert finetune("train", setting(tmp_path, "finishes"), "--wait", "--detach", home=home).returncode == 0
    (waits,) = others(home, busy)
    LocalLauncher().signal(busy, signal.SIGKILL)
    until(lambda: LocalLauncher().find(busy) is None)
    assert f"{waits.id} is queued although its device is free" in finetune("queue", home=home).stdout
    finetune("runs", home=home)
    assert run_state(waits) is RunState.QUEUED
    finetune("queue", "resume", home=home)
    until(lambda: run_state(waits) is RunState.FINISHED)


def test_waiting_for_a_deleted_run_ends(home: Home, busy: RunFolder, tmp_path: Path) -> None:
    command = [FINETUNE, "train", str(setting(tmp_path, "finishes")), "--wait"]
    environment = {**os.environ, "FINETUNE_HOME": str(home.path)}
    terminal = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: len(RunQueue(home).waiting()) == 1)
    (waits,) = others(home, busy)
    delete_run(waits)
    terminal.wait(30)


def test_a_resumed_run_that_waits_is_followed_by_its_new_attempt(home: Home, busy: RunFolder, tmp_path: Path) -> None:
    assert finetune("train", setting(tmp_path, "waits"), "--wait", "--detach", home=home).returncode == 0
    (again,) = others(home, busy)
    (busy.path / "go on").touch()
    until(lambda: run_state(again) is RunState.RUNNING)
    assert finetune("stop", again.id, home=home).returncode == 0
    (again.path / "go on").touch()
    done = finetune("resume", again.id, "--wait", "--json", home=home)
    reported = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["attempt"] for event in reported if "attempt" in event} == {2}
    assert reported[-1]["state"] == "finished"


def test_retry_cured_without_known_fix_fails(home: Home, busy: RunFolder) -> None:
    (busy.path / "go on").touch()
    until(lambda: run_state(busy) is RunState.FINISHED)
    assert "--apply-fix" in refused(finetune("retry", busy.id, "--apply-fix", home=home))
