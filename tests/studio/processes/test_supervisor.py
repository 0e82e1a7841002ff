"""Real processes: who outlives whom, and how an end is written down."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from interfaces.events import Step, read_events
from interfaces.files import read_json, write_json
from interfaces.folders import Attempt, Home, RunFolder
from interfaces.history import RunHistory
from studio.processes.launcher import LocalLauncher
from studio.runs.diagnosis import problem_of_run
from studio.runs.state import RunState, follow, run_state
from tests.conftest import until
from tests.support.fake_runs import identity, start

pytestmark = pytest.mark.process


def wait_for_end(folder: RunFolder, attempt: Attempt) -> RunState:
    for _ in follow(RunHistory(folder)):
        pass
    until(lambda: LocalLauncher().state(attempt) == "gone")
    return run_state(folder, read_events(folder.events))


def logged_steps(folder: RunFolder) -> int:
    return len([event for event in read_events(folder.events) if isinstance(event, Step)])


def test_finished_run_is_recorded(home: Home) -> None:
    folder, attempt = start(home, "finishes")
    assert wait_for_end(folder, attempt) == "finished"
    record = read_json(attempt.exit)
    assert record is not None
    assert (record["returncode"], record["signal"], record["attempt"]) == (0, None, 1)
    assert folder.log.read_text() == "done\n"


def test_started_run_is_found_and_detached(home: Home) -> None:
    before = psutil.Process().children(recursive=True)
    folder, attempt = start(home, "waits")
    assert LocalLauncher().find(folder) == attempt
    assert identity(attempt, "supervisor").is_alive()
    assert psutil.Process().children(recursive=True) == before
    (folder.path / "go on").touch()
    assert wait_for_end(folder, attempt) == "finished"


def test_a_run_outlives_whoever_started_it(home: Home) -> None:
    folder = home.create_run()
    folder.config.write_text("{}")
    code = (
        "import sys, time; from pathlib import Path; from interfaces.folders import RunFolder\n"
        "from studio.processes.launcher import LocalLauncher; from tests.support.fakes import fake_trainer\n"
        "LocalLauncher(fake_trainer('waits')).start(RunFolder(Path(sys.argv[1])))\n"
        "print('started', flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[2]
    starter = subprocess.Popen(
        [sys.executable, "-c", code, str(folder.path)], cwd=root, stdout=subprocess.PIPE, start_new_session=True
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"started\n"
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    attempt = folder.attempt(1)
    assert LocalLauncher().state(attempt) == "alive"
    (folder.path / "go on").touch()
    assert wait_for_end(folder, attempt) == "finished"


def test_killed_trainer_records_its_signal(home: Home) -> None:
    folder, attempt = start(home, "waits")
    until(lambda: logged_steps(folder) == 3)
    identity(attempt, "trainer").send(signal.SIGKILL)
    assert wait_for_end(folder, attempt) == "failed"
    problem = problem_of_run(folder, read_events(folder.events))
    assert problem is not None
    assert (problem.code, problem.params["signal"]) == ("trainer_killed", "SIGKILL")


def test_silent_crash_records_exit_code(home: Home) -> None:
    folder, attempt = start(home, "crashes")
    assert wait_for_end(folder, attempt) == "failed"
    problem = problem_of_run(folder, read_events(folder.events))
    assert problem is not None
    assert (problem.code, problem.params["code"]) == ("trainer_ended", 7)


def test_killed_supervisor_kills_its_trainer(home: Home) -> None:
    folder, attempt = start(home, "waits")
    until(lambda: logged_steps(folder) == 3)
    trainer = identity(attempt, "trainer")
    identity(attempt, "supervisor").send(signal.SIGKILL)
    until(lambda: not trainer.is_alive())
    assert run_state(folder, read_events(folder.events)) == "interrupted"


def test_trainer_handles_stop_and_save(home: Home) -> None:
    folder, attempt = start(home, "waits")
    until(lambda: logged_steps(folder) == 3)
    assert run_state(folder, read_events(folder.events)) == "running"
    write_json(folder.stop, {"mode": "save", "attempt": 1})
    assert wait_for_end(folder, attempt) == "stopped"


def test_discard_kills_unresponsive_trainer_within_ten_seconds(home: Home) -> None:
    import time

    folder, attempt = start(home, "deaf")
    until(lambda: logged_steps(folder) == 3)
    write_json(folder.stop, {"mode": "discard", "attempt": 1})
    assert run_state(folder, read_events(folder.events)) == "stopping"
    asked = time.monotonic()
    assert wait_for_end(folder, attempt) == "stopped"
    assert time.monotonic() - asked < 10
    assert not identity(attempt, "trainer").is_alive()
    assert read_json(attempt.exit)["signal"] == "SIGKILL"  # type: ignore[index]


def test_terminating_the_supervisor_lets_the_trainer_save(home: Home) -> None:
    folder, attempt = start(home, "waits")
    until(lambda: logged_steps(folder) == 3)
    LocalLauncher().signal(folder, signal.SIGTERM)
    assert wait_for_end(folder, attempt) == "stopped"
    assert read_json(attempt.exit)["returncode"] == 0  # type: ignore[index]


@pytest.mark.long  # it waits for the supervisor's own patience
def test_trainer_lingering_after_final_event_is_killed(home: Home) -> None:
    folder, attempt = start(home, "stays")
    until(lambda: run_state(folder) is RunState.STOPPED)
    assert identity(attempt, "trainer").is_alive()
    until(lambda: LocalLauncher().state(attempt) == "gone")
    assert not identity(attempt, "trainer").is_alive()
    assert run_state(folder) is RunState.STOPPED
