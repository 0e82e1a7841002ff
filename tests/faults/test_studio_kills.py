"""The studio is killed while runs continue, alone and together with everything else: nothing is lost, nothing doubled."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interfaces.errors import FineTuneError
from interfaces.events import Started, Step, read_events
from interfaces.files import read_json
from interfaces.folders import Home, RunFolder
from interfaces.process import ProcessIdentity
from studio.finetune_manager import FinetuneManager
from studio.processes.launcher import LocalLauncher
from studio.runs.state import run_state
from studio.runs.supervised_trainer import SupervisedTrainer
from tests.conftest import until
from tests.faults.rig import SEED, Nursery, Result, check_equal, rounds, run_to_the_end
from tests.support.fake_runs import identity, start
from tests.support.records import kept
from tests.support.served import Page, Studio

pytestmark = pytest.mark.tiny
KILLS_A_RUN = 5


@pytest.fixture
def studio(home: Home) -> Iterator[Studio]:
    home.path.mkdir()
    served = Studio(home, "--no-warm-trainer")
    yield served
    served.kill()


def template_of(home: Home, config: dict[str, Any]) -> str:
    """A run that is never started itself: the studio repeats it."""
    return FinetuneManager(SupervisedTrainer(), home).create_task(config)


def steps_of(folder: RunFolder) -> list[int]:
    return [event.step for event in kept(read_events(folder.events)) if isinstance(event, Step)]


def test_repeated_studio_kills_do_not_affect_runs(home: Home, studio: Studio, fault_job: dict[str, Any]) -> None:
    kills, chance = rounds(1, "STUDIO_KILLS"), random.Random(SEED)
    kills_a_run = min(kills, KILLS_A_RUN)
    long = {**fault_job, "num_train_epochs": 2 + 14 * kills_a_run, "save_steps": 300, "eval_steps": 600}
    template = template_of(home, long)
    latest = [
        seconds
        for _ in range(0, kills, kills_a_run)
        for seconds in kill_during_a_run(home, studio, template, chance, kills_a_run)
    ]
    print(
        f"{len(latest)} studios killed: no run affected, no point lost or doubled; right state {max(latest):.2f} s after"
    )


def kill_during_a_run(home: Home, studio: Studio, template: str, chance: random.Random, kills: int) -> list[float]:
    """One run, started by a studio that is killed several times; returns the seconds until each next one was right."""
    page = Page(studio)
    run = page.ask(f"/api/runs/{template}/retry", "POST")["run"]
    folder = home.run(run)
    seconds = []
    for _ in range(kills):
        deadline = time.monotonic() + chance.uniform(0.1, 1.5)
        while time.monotonic() < deadline:
            page.poll(run)
        studio.kill()
        studio.start()
        begun = time.monotonic()
        until(lambda: page.ask(f"/api/runs/{run}")["state"] == run_state(folder))
        assert LocalLauncher().find(folder) is not None, f"seed {SEED}: the run is gone, or too short for this"
        assert run_state(folder) in ("starting", "running"), f"seed {SEED}"
        seconds.append(time.monotonic() - begun)
    until(lambda: page.poll(run)["state"] == "finished", 300)
    page.poll(run)
    reported = steps_of(folder)
    assert reported == list(range(1, len(reported) + 1)), f"seed {SEED}"
    assert page.points == reported, f"seed {SEED}: a page lost or doubled points"
    assert len([event for event in read_events(folder.events) if isinstance(event, Started)]) == 1
    until(lambda: LocalLauncher().find(folder) is None)  # the supervisor still writes down how it ended
    shutil.rmtree(folder.path)
    return seconds


@pytest.mark.parametrize("by_itself", [pytest.param(False, marks=pytest.mark.long), True], ids=["by hand", "by itself"])
def test_killing_all_processes_interrupts_a_resumable_run(
    home: Home, studio: Studio, fault_job: dict[str, Any], undisturbed: Result, by_itself: bool
) -> None:
    template = template_of(home, fault_job)
    run = Page(studio).ask(f"/api/runs/{template}/retry", "POST")["run"]
    folder = home.run(run)
    until(lambda: len(steps_of(folder)) > 20)
    record = read_json(folder.attempt(1).pid) or {}
    identities = [ProcessIdentity.from_record(record[who]) for who in ("supervisor", "trainer")]
    for one in identities:
        assert one is not None
        one.send(signal.SIGKILL)
    studio.kill()
    until(lambda: LocalLauncher().find(folder) is None)
    if by_itself:
        studio.options = (*studio.options, "--resume-interrupted")
    studio.start()
    page = Page(studio)
    if not by_itself:
        summary = page.ask(f"/api/runs/{run}")
        assert (summary["state"], summary["resumable"]) == ("interrupted", True)
        assert page.ask("/api/runs/resume-interrupted", "POST")["runs"] == [run]
    until(lambda: page.poll(run)["state"] == "finished")
    check_equal(folder, undisturbed)
    started = [event for event in read_events(folder.events) if isinstance(event, Started)]
    assert started[-1].resumed_from_step is not None
    until(lambda: page.poll(run)["state"] == "finished")
    assert page.points == steps_of(folder)


@contextlib.contextmanager
def somebody_else(pid: int) -> Iterator[subprocess.Popen[bytes]]:
    """A foreign process that has been given this very pid; skipped where the kernel can't be reported."""
    last = Path("/proc/sys/kernel/ns_last_pid")
    for _ in range(200):
        try:
            last.write_text(str(pid - 1))
        except OSError as error:
            pytest.skip(f"pids can't be chosen here ({error}): run it as root, outside a container")
        process = subprocess.Popen(["sleep", "120"])
        if process.pid == pid:
            break
        process.kill()
        process.wait()
    else:
        pytest.fail(f"pid {pid} was never given again")
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.alone  # the kernel is given the pid to give next
def test_reused_pid_is_never_signaled(home: Home) -> None:
    for _ in range(rounds(1, "PID_REUSES")):
        folder, attempt = start(home, "waits")
        supervisor, trainer = identity(attempt, "supervisor"), identity(attempt, "trainer")
        assert supervisor.send(signal.SIGKILL)
        until(lambda trainer=trainer: not trainer.is_alive() and not Path(f"/proc/{trainer.pid}").exists())
        with somebody_else(supervisor.pid) as first, somebody_else(trainer.pid) as second:
            assert run_state(folder) == "interrupted"
            assert LocalLauncher().signal(folder, signal.SIGKILL) is False
            manager = FinetuneManager(SupervisedTrainer(), home)
            for discard in (False, True):
                with pytest.raises(FineTuneError, match="nothing to stop"):
                    manager.request_stop(folder.id, discard)
            assert supervisor.send(signal.SIGKILL) is trainer.send(signal.SIGTERM) is False
            assert first.poll() is None
            assert second.poll() is None


@pytest.mark.long
@pytest.mark.skipif(
    shutil.which("faketime") is None, reason="no faketime, which sets a process's clock: apt install faketime"
)
def test_clock_changes_lose_nothing(
    home: Home, nursery: Nursery, fault_job: dict[str, Any], undisturbed: Result
) -> None:
    from studio.processes.launcher import trainer_command

    run = FinetuneManager(SupervisedTrainer(), home).create_task(fault_job)
    folder = home.run(run)
    for number, day in enumerate(("+1d", "-1d"), start=1):
        attempt = folder.create_attempt()
        before = len(steps_of(folder))
        with folder.log.open("ab") as log:
            trainer = subprocess.Popen(
                ["faketime", "-f", day, *trainer_command(folder, attempt)], cwd=folder.path, stdout=log, stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
            )  # fmt: skip
        until(lambda before=before: len(steps_of(folder)) > before + 25)
        os.killpg(trainer.pid, signal.SIGKILL)
        trainer.wait()
        reported = [event.time for event in read_events(folder.events) if event.attempt == number]
        assert abs(reported[-1] - time.time()) > 80_000
        # Checkpoints of the day that is over look new, and new ones old.
        for path in folder.checkpoints.iterdir():
            os.utime(path, (time.time() + 86_400, time.time() + 86_400))
    assert run_to_the_end(nursery, folder) == undisturbed
    check_equal(folder, undisturbed)
