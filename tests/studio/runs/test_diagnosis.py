"""Why a run failed, and the fix that is shown and applied."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from interfaces import Device
from interfaces.events import read_events
from interfaces.files import write_json
from interfaces.folders import Home, RunFolder
from interfaces.texts import sentence
from studio.processes.launcher import LocalLauncher
from studio.runs.diagnosis import Diagnosis, fix_of, problem_of_run
from tests.conftest import until
from tests.support.fakes import fake_trainer

GIB = 2**30
LARGE = {
    "model_name": "Qwen/Qwen2.5-7B-Instruct", "dataset": "rows", "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
}  # fmt: skip


def killed_for_memory(home: Home) -> RunFolder:
    folder = home.create_run()
    folder.config.write_text(json.dumps(LARGE))
    attempt = folder.create_attempt()
    write_json(attempt.exit, {"attempt": 1, "returncode": None, "signal": "SIGKILL", "cause": "out_of_memory"})
    return folder


def with_memory(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr("studio.sizing.devices.detect_devices", lambda: [Device("cpu", "a processor", memory, memory)])


@pytest.mark.parametrize(
    ("memory", "change", "says"),
    [
        (1 * GIB, {}, "choose a smaller model"),
        (
            1000 * GIB,
            {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
            "Try again with per_device_train_batch_size: 4",
        ),
    ],
)
def test_fix_is_offered_only_if_it_helps(
    home: Home, monkeypatch: pytest.MonkeyPatch, memory: int, change: dict[str, Any], says: str
) -> None:
    with_memory(monkeypatch, memory)
    folder = killed_for_memory(home)
    problem = problem_of_run(folder, read_events(folder.events))
    assert problem is not None
    assert problem.change == fix_of(folder) == change
    assert says in sentence(problem)


def test_shown_fix_stays_when_memory_is_freed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 30 * GIB)
    folder = killed_for_memory(home)
    shown = fix_of(folder)
    assert shown
    with_memory(monkeypatch, 1000 * GIB)
    assert fix_of(folder) == shown
    folder.diagnosis.write_text("{}")  # somebody has damaged it
    assert fix_of(folder) != shown


def test_requests_at_once_get_the_same_fix(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = iter(range(30 * GIB, 3000 * GIB, 30 * GIB))  # each diagnosis would see another amount
    monkeypatch.setattr(
        "studio.sizing.devices.detect_devices", lambda: [Device("cpu", "a processor", size := next(memory), size)]
    )
    folder = killed_for_memory(home)
    with ThreadPoolExecutor(8) as pool:
        fixes = list(pool.map(fix_of, [folder] * 8))
    assert fixes[0]
    assert fixes == fixes[:1] * 8


@pytest.mark.process
def test_end_of_run_is_diagnosed_before_anyone_asks(home: Home) -> None:
    folder = home.create_run()
    folder.config.write_text(json.dumps(LARGE))
    LocalLauncher(fake_trainer("out of memory")).start(folder)
    until(folder.diagnosis.exists)
    shown = Diagnosis.model_validate_json(folder.diagnosis.read_text()).problem.change
    assert shown == fix_of(folder)


def test_each_attempt_is_diagnosed_separately(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with_memory(monkeypatch, 30 * GIB)
    folder = killed_for_memory(home)
    first = fix_of(folder)
    write_json(
        folder.create_attempt().exit, {"attempt": 2, "returncode": None, "signal": "SIGKILL", "cause": "out_of_memory"}
    )
    with_memory(monkeypatch, 1000 * GIB)
    assert fix_of(folder) != first


def test_asking_for_a_state_loads_no_estimator() -> None:
    code = "import sys, studio.runs.state; print(any(name.startswith('studio.sizing') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
