"""The queue under kills and races: nobody is forgotten, nobody is started twice, whoever is there or not."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interfaces.events import Finished, Started, read_events
from interfaces.folders import Home, RunFolder
from studio.processes.launcher import LocalLauncher
from studio.runs.queue import RunQueue
from studio.runs.state import RunState, run_state
from studio.runs.trash import delete_run
from tests.conftest import until
from tests.faults.rig import rounds
from tests.support.fake_runs import has_ended, let_go, make_run
from tests.support.fakes import fake_trainer_package
from tests.support.served import Page, Studio

pytestmark = pytest.mark.tiny
START = """
import sys
from pathlib import Path
from interfaces.folders import Home
from studio.cli.console import manager_of
manager_of(Home(Path(sys.argv[1]))).launch(sys.argv[2])
"""


@pytest.fixture
def queue(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunQueue]:
    for name, value in fake_trainer_package(tmp_path / "fake").items():
        monkeypatch.setenv(name, value)
    home.path.mkdir()
    yield RunQueue(home)
    RunQueue(home).pause()
    for path in home.runs.glob("*"):
        LocalLauncher().signal(RunFolder(path), signal.SIGKILL)


@pytest.fixture
def open_studio(queue: RunQueue) -> Iterator[Callable[[], Studio]]:
    """Studios on the queue's home, none of which outlives its test."""
    opened: list[Studio] = []

    def open_one() -> Studio:
        opened.append(Studio(queue.home, "--no-warm-trainer"))
        return opened[-1]

    yield open_one
    for studio in opened:
        if studio.process.poll() is None:
            studio.kill()


def test_ten_queued_runs_end_in_order_while_studios_are_killed(
    queue: RunQueue, open_studio: Callable[[], Studio]
) -> None:
    runs = [make_run(queue, script) for script in ("waits", "waits", "fails", "waits", "crashes", *["finishes"] * 5)]
    studio = open_studio()
    page = Page(studio)
    for folder in runs:
        page.ask(f"/api/runs/{folder.id}/resume", "POST")
    kills = rounds(2, "QUEUE_KILLS")
    for number, folder in enumerate((runs[0], runs[1], runs[3])):  # each time in the middle of a run
        until(lambda folder=folder: run_state(folder) is RunState.RUNNING)
        if number < kills:
            studio.kill()
            if number < kills - 1:
                studio.start()
        let_go(folder)
    # From here on there is no studio.
    until(lambda: has_ended(*runs))
    ends = ["finished"] * 2 + ["failed", "finished", "failed"] + ["finished"] * 5
    assert [run_state(folder).value for folder in runs] == ends
    reported = [read_events(folder.events) for folder in runs]
    begun = [next(event.time for event in events if isinstance(event, Started)) for events in reported]
    assert begun == sorted(begun)
    assert all(len(folder.attempts()) == 1 for folder in runs)
    until(lambda: queue.running() == {})
    assert queue.waiting() == []


def test_two_studios_and_a_terminal_start_one_run_a_device(queue: RunQueue, open_studio: Callable[[], Studio]) -> None:
    """Each presses Start for a run of its own at the same moment, and the others press for it too."""
    pages = [Page(open_studio()) for _ in range(2)]
    tries = rounds(4, "QUEUE_TRIES")
    tried: list[RunFolder] = []
    for number in range(tries):
        runs = [make_run(queue, "waits") for _ in range(3)]
        ready = threading.Barrier(3)

        def by_page(
            page: Page, mine: RunFolder, ready: threading.Barrier = ready, runs: list[RunFolder] = runs
        ) -> None:
            ready.wait()
            for folder in (mine, *(other for other in runs if other is not mine)):
                with contextlib.suppress(urllib.error.HTTPError):  # another has started it
                    page.ask(f"/api/runs/{folder.id}/resume", "POST")

        presses = [threading.Thread(target=by_page, args=(page, mine)) for page, mine in zip(pages, runs, strict=False)]
        for press in presses:
            press.start()
        ready.wait()
        # A terminal that follows would wait for the end: it starts and goes.
        terminal = [sys.executable, "-c", START, str(queue.home.path), runs[2].id]
        reported = subprocess.run(terminal, stderr=subprocess.PIPE, text=True, check=False, timeout=300)
        for press in presses:
            press.join()
        assert reported.returncode == 0, reported.stderr
        started = [folder for folder in runs if folder.attempts()]
        assert len(started) == 1, f"try {number}"
        assert {one.run for one in queue.waiting()} == {folder.id for folder in runs} - {started[0].id}
        for folder in runs:
            if folder is not started[0]:
                delete_run(folder)  # whoever still comes with a press for it finds nothing to put in the queue
        let_go(started[0])
        until(lambda started=started: has_ended(*started))
        assert any(isinstance(event, Finished) for event in read_events(started[0].events))
        tried += started
    assert all(len(folder.attempts()) == 1 for folder in tried)
