"""What `exit.json` says; a kernel that kills for memory and a disk that is full are real where this machine allows it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from interfaces.events import Failed
from interfaces.files import read_json
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code, Problem
from studio.processes.exit_record import write_exit_record
from studio.runs.diagnosis import problem_of_run
from studio.runs.state import run_state
from tests.conftest import ROOT, until
from tests.support.memory_group import memory_group, run_in
from trainer.training.event_log import EventLog

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("returncode", "for_memory", "cause", "number"),
    [
        (0, False, "ended", None),
        (3, False, "failed", None),
        (-9, False, "killed", "SIGKILL"),
        (-9, True, "out_of_memory", "SIGKILL"),
        (-11, True, "killed", "SIGSEGV"),
    ],
)
def test_exit_causes_differ(home: Home, returncode: int, for_memory: bool, cause: str, number: str | None) -> None:
    folder = home.create_run()
    attempt = folder.create_attempt()
    folder.reserve.write_bytes(b"0")
    write_exit_record(folder, attempt, returncode, for_memory)
    record = read_json(attempt.exit)
    assert record is not None
    assert (record["cause"], record["signal"]) == (cause, number)
    assert not folder.reserve.exists()


def test_reported_full_disk_is_the_cause(home: Home) -> None:
    folder = home.create_run()
    attempt = folder.create_attempt()
    with EventLog(folder.events, 1) as log:
        log.append(Failed(step=3, problem=Problem.error(Code.DISK_FULL, path="/x", needed=5, free=1)))
    write_exit_record(folder, attempt, 1, False)
    record = read_json(attempt.exit)
    assert record is not None
    assert record["cause"] == "disk_full"


@pytest.fixture
def small_cgroup() -> Iterator[Path]:
    with memory_group(100 << 20) as group:
        yield group


GREEDY = "hoard = []\nwhile True: hoard.append(bytearray(b'x') * (8 << 20))"


def test_out_of_memory_kill_suggests_smaller_setting(home: Home, small_cgroup: Path) -> None:
    folder = home.create_run()
    folder.config.write_text("dataset: x\nper_device_train_batch_size: 8\nmax_length: 512\n")
    attempt = folder.create_attempt()
    supervisor = [
        sys.executable,
        "-P",
        "-m",
        "studio.processes.supervisor",
        str(folder.path),
        "1",
        sys.executable,
        "-c",
        GREEDY,
    ]
    assert run_in(small_cgroup, supervisor, cwd=ROOT).returncode == 0
    until(attempt.exit.exists)
    record = read_json(attempt.exit)
    assert record is not None
    assert (record["cause"], record["signal"]) == ("out_of_memory", "SIGKILL")
    problem = problem_of_run(folder, [])
    assert problem is not None
    assert problem.code == Code.KILLED_FOR_MEMORY
    assert problem.change == {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 8}
    assert run_state(RunFolder(folder.path)) == "failed"
