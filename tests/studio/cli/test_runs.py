"""What the terminal can do with a run that is there: each command a real process, on the tiny model."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from interfaces.events import Started, Step, read_events
from interfaces.folders import Home, RunFolder
from studio.processes.launcher import LocalLauncher
from tests.conftest import until
from tests.support.fake_runs import start
from tests.support.terminal import FINETUNE, config_file, finetune, refused

pytestmark = pytest.mark.tiny


@pytest.fixture
def finished(home: Home, tiny_config: dict[str, Any], tmp_path: Path) -> RunFolder:
    done = finetune("train", config_file(tmp_path, tiny_config), home=home)
    assert done.returncode == 0, done.stderr
    (path,) = home.runs.iterdir()
    return RunFolder(path)


def newest(home: Home) -> RunFolder:
    return RunFolder(max(home.runs.iterdir()))


def losses(folder: RunFolder) -> list[float]:
    return [event.loss for event in read_events(folder.events) if isinstance(event, Step)]


@pytest.mark.long  # in the browser: story/test_browser_rescue
def test_retry_repeats_and_continue_starts_from_adapter(home: Home, finished: RunFolder) -> None:
    done = finetune("retry", "last", home=home)
    assert done.returncode == 0, done.stderr
    again = newest(home)
    assert again.id != finished.id
    assert losses(again) == losses(finished)
    done = finetune("continue", finished.id, "--set", "num_train_epochs=1", home=home)
    assert done.returncode == 0, done.stderr
    further = newest(home)
    settings = yaml.safe_load(further.config.read_text())
    assert (settings["adapter_name_or_path"], settings["num_train_epochs"]) == (finished.id, 1)
    assert len(losses(further)) == 4
    assert losses(further)[0] < losses(finished)[0] / 2


def test_what_cannot_be_resumed_or_continued_is_refused(home: Home) -> None:
    folder, attempt = start(home, "finishes")
    until(lambda: LocalLauncher().state(attempt) == "gone")
    assert "finished" in refused(finetune("resume", "last", home=home))
    assert "no result" in refused(finetune("continue", folder.id, home=home))
    assert "not found" in refused(finetune("retry", "nothing-like-it", home=home))


@pytest.mark.long  # faults/test_studio_kills has it from the page
def test_interrupted_run_is_offered_and_resumes(home: Home, tiny_config: dict[str, Any], tmp_path: Path) -> None:
    slow = {**tiny_config, "num_train_epochs": 200, "save_steps": 5, "save_total_limit": 2}
    done = finetune("train", config_file(tmp_path, slow), "--detach", home=home)
    assert done.returncode == 0, done.stderr
    folder = newest(home)
    until(lambda: len(losses(folder)) > 12)
    # The trainer dies with its supervisor: nobody is left to write down how it ended.
    assert LocalLauncher().signal(folder, signal.SIGKILL)
    until(lambda: LocalLauncher().find(folder) is None)
    reported = finetune("runs", home=home).stdout
    assert "interrupted" in reported
    assert f"finetune resume {folder.id}" in reported
    assert json.loads(finetune("runs", "--json", home=home).stdout)[0]["resumable"] is True
    begun = len(losses(folder))
    with subprocess.Popen(
        [FINETUNE, "resume", "last"],
        env={**os.environ, "FINETUNE_HOME": str(home.path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        until(lambda: len(losses(folder)) > begun)
        assert finetune("stop", "last", home=home).returncode == 0
        said, _ = following.communicate(timeout=300)
    assert (following.returncode, f"finetune resume {folder.id}" in said) == (0, True)
    started = [event for event in read_events(folder.events) if isinstance(event, Started)]
    assert (started[-1].resumed_from_step or 0) >= 10


def test_stop_prints_result_and_resume_command(home: Home) -> None:
    folder, _ = start(home, "waits")
    done = finetune("stop", folder.id, home=home)
    assert done.returncode == 0, done.stderr
    assert "Stopping after this batch" in done.stdout
    assert "is stopped." in done.stdout
    assert "continues from here" not in done.stdout  # it has saved nothing
    assert "nothing to stop" in refused(finetune("stop", folder.id, home=home))
