"""The queue: one run a device, the next without anybody's help, and nobody keeps the others."""

import contextlib
import errno
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from interfaces.errors import FineTuneError
from interfaces.events import Started, read_events
from interfaces.files import read_json, write_json
from interfaces.folders import Attempt, Home, RunFolder
from interfaces.problems import Code
from interfaces.process import ProcessIdentity
from studio.finetune_manager import FinetuneManager
from studio.processes.launcher import LocalLauncher
from studio.runs.queue import RunQueue, device_of_run
from studio.runs.state import RunState, run_state
from studio.runs.supervised_trainer import SupervisedTrainer
from studio.runs.trash import delete_run, restore_run
from studio.sizing.devices import detect_devices
from tests.conftest import until
from tests.support.fake_runs import has_ended, let_go, make_run
from tests.support.fakes import fake_trainer_package

pytestmark = pytest.mark.process


@pytest.fixture
def queue(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunQueue]:
    for name, value in fake_trainer_package(tmp_path / "fake").items():
        monkeypatch.setenv(name, value)
    yield RunQueue(home)
    RunQueue(home).pause()
    for path in home.runs.glob("*"):
        LocalLauncher().signal(RunFolder(path), signal.SIGKILL)


def start_of(folder: RunFolder) -> float:
    return next(event.time for event in read_events(folder.events) if isinstance(event, Started))


def test_second_run_waits_without_process_then_starts(queue: RunQueue) -> None:
    first, second = make_run(queue, "waits"), make_run(queue)
    assert queue.submit(first) is True
    assert queue.submit(second) is False
    assert run_state(second) is RunState.QUEUED
    assert second.attempts() == []
    assert queue.to_record().model_dump() == {
        "paused": False,
        "running": {"cpu": first.id},
        "waiting": [
            {"run": second.id, "kind": "run", "name": "finishes", "device": "cpu", "position": 1, "sweep": None}
        ],
    }
    let_go(first)  # nobody looks after the queue from here on
    until(lambda: run_state(second) is RunState.FINISHED)
    assert start_of(second) >= read_events(first.events)[-1].time
    until(lambda: queue.running() == {})
    assert queue.waiting() == []


def test_failed_crashed_and_unstartable_runs_do_not_block_the_queue(queue: RunQueue) -> None:
    first = make_run(queue, "waits")
    others = [make_run(queue, script) for script in ("fails", "crashes", "finishes", "finishes", "finishes")]
    for folder in (first, *others):
        queue.submit(folder)
    others[3].start_lock.mkdir()  # in the way: it can't be started
    let_go(first)
    until(lambda: has_ended(first, *others[:3], others[4]))
    assert [run_state(folder).value for folder in others[:3]] == ["failed", "failed", "finished"]
    assert run_state(others[4]) is RunState.FINISHED
    starts = [start_of(folder) for folder in (first, *others[:3], others[4])]
    assert starts == sorted(starts)
    assert others[3].id in queue.home.queue_log.read_text()


def test_next_poll_starts_run_after_killed_supervisor(queue: RunQueue) -> None:
    first, second = make_run(queue, "waits"), make_run(queue)
    queue.submit(first)
    queue.submit(second)
    assert queue.advance() == []
    LocalLauncher().signal(first, signal.SIGKILL)
    until(lambda: LocalLauncher().find(first) is None)
    assert queue.advance() == [second.id]
    until(lambda: run_state(second) is RunState.FINISHED)


def test_runs_are_moved_removed_and_requeued(queue: RunQueue) -> None:
    first = make_run(queue, "waits")
    a, b, c = (make_run(queue) for _ in range(3))
    for folder in (first, a, b, c):
        queue.submit(folder)
    queue.move(c, 1)
    assert [one.run for one in queue.waiting()] == [c.id, a.id, b.id]
    queue.move(c, 99)
    assert [one.run for one in queue.waiting()] == [a.id, b.id, c.id]
    queue.cancel(a)
    assert run_state(a) is RunState.STOPPED
    with pytest.raises(FineTuneError) as raised:
        queue.move(a, 1)
    assert raised.value.problems[0].code == Code.RUN_NOT_WAITING
    delete_run(b)
    assert run_state(restore_run(queue.home, b.id)) is RunState.STOPPED, "it waits no more, and can be started"
    delete_run(b)
    assert [(one.run, one.position) for one in queue.waiting()] == [(c.id, 1)]
    queue.submit(a)
    assert run_state(a) is RunState.QUEUED
    let_go(first)
    until(lambda: has_ended(a, c))
    assert start_of(c) < start_of(a)


def test_pause_keeps_active_runs_and_starts_none(queue: RunQueue) -> None:
    first, second = make_run(queue, "waits"), make_run(queue)
    queue.submit(first)
    queue.pause()
    assert queue.submit(second) is False
    let_go(first)
    until(lambda: has_ended(first))
    assert queue.advance() == []
    assert run_state(second) is RunState.QUEUED
    assert queue.resume() == [second.id]
    until(lambda: run_state(second) is RunState.FINISHED)


def test_run_is_queued_once_and_not_while_running(queue: RunQueue) -> None:
    first, second = make_run(queue, "waits"), make_run(queue)
    assert queue.submit(first)
    assert queue.submit(first)
    queue.submit(second)
    queue.submit(second)
    assert [one.run for one in queue.waiting()] == [second.id]
    assert len(first.attempts()) == 1


def test_ticket_of_started_run_is_removed(queue: RunQueue) -> None:
    """Whoever started it was killed before the ticket was gone."""
    folder = make_run(queue)
    queue.submit(folder)
    write_json(folder.ticket, {"device": "cpu", "order": 1, "attempts": 0})
    assert queue.waiting() == []
    until(lambda: has_ended(folder))
    queue.advance()
    assert not folder.ticket.exists()
    assert len(folder.attempts()) == 1


def test_starter_killed_before_start_holds_no_device(queue: RunQueue) -> None:
    queue.home.locks.mkdir(parents=True)
    gone, folder = make_run(queue), make_run(queue)
    write_json(queue.home.locks / "cpu.json", {"run": gone.id, "attempt": 1})
    assert queue.submit(folder) is True


def test_each_card_runs_its_own_run(queue: RunQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    from interfaces.device import GIB, Device

    cards = [Device("cuda", "a card", 8 * GIB, 8 * GIB, index) for index in range(2)]
    monkeypatch.setattr("studio.runs.queue.detect_devices", lambda: [*cards, Device("cpu", "cpu", GIB, GIB)])
    monkeypatch.setattr("studio.sizing.devices.torch_is_cpu_build", lambda: False)
    folders = [make_run(queue, "waits") for _ in range(3)]
    for folder, device in zip(folders, ("auto", "cuda:1", "cuda:1"), strict=True):
        folder.config.write_text(folder.config.read_text().replace("device: auto", f"device: {device}"))
    assert [device_of_run(folder) for folder in folders] == ["cuda:0", "cuda:1", "cuda:1"]
    assert [queue.submit(folder) for folder in folders] == [True, True, False]
    assert queue.running() == {"cuda:0": folders[0].id, "cuda:1": folders[1].id}


def test_failed_start_does_not_empty_the_queue(queue: RunQueue) -> None:
    """The machine has no process to give, for a moment."""
    folders = [make_run(queue) for _ in range(3)]
    queue.pause()
    for folder in folders:
        queue.submit(folder)

    class Exhausted(LocalLauncher):
        def start(self, folder: RunFolder) -> Attempt:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    exhausted = RunQueue(queue.home, Exhausted())
    assert exhausted.resume() == []
    assert [one.run for one in queue.waiting()] == [folder.id for folder in folders]
    assert exhausted.is_stuck()
    assert queue.advance() == [folders[0].id]
    until(lambda: has_ended(*folders))


def test_shutdown_starts_no_other_run(queue: RunQueue) -> None:
    first, second = make_run(queue, "waits"), make_run(queue)
    queue.submit(first)
    queue.submit(second)
    until(lambda: run_state(first) is RunState.RUNNING)
    supervisor = ProcessIdentity.from_record((read_json(first.attempt(1).pid) or {})["supervisor"])
    assert supervisor is not None
    supervisor.send(signal.SIGTERM)
    until(lambda: not supervisor.is_alive())
    assert run_state(first) is RunState.STOPPED
    assert run_state(second) is RunState.QUEUED
    assert queue.advance() == [second.id]
    until(lambda: has_ended(second))


def test_memory_of_active_run_counts_as_free_later(queue: RunQueue) -> None:
    first = make_run(queue, "waits")
    queue.submit(first)
    until(lambda: run_state(first) is RunState.RUNNING)
    cpu = detect_devices()[-1]
    assert queue.memory_held(cpu) == 1  # as the fake says of itself
    let_go(first)
    until(lambda: has_ended(first))
    assert queue.memory_held(cpu) == 0


def test_run_started_elsewhere_is_not_queued_again(queue: RunQueue) -> None:
    """Its Start was pressed twice, and while the second waited for the queue's lock it ran to its end."""
    folder = make_run(queue)

    class Late(RunQueue):
        @contextlib.contextmanager
        def alone(self) -> Iterator[None]:
            LocalLauncher().start(folder)
            until(lambda: has_ended(folder))
            with super().alone():
                yield

    assert Late(queue.home).submit(folder) is False
    assert queue.waiting() == []
    assert len(folder.attempts()) == 1


def test_held_lock_is_reported_and_queues_nothing(queue: RunQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.runs.queue.LOCK_SECONDS", 0.1)
    folder = make_run(queue)
    queue.home.queue.mkdir()
    with FileLock(queue.home.queue_lock), pytest.raises(FineTuneError) as raised:
        queue.submit(folder)
    assert raised.value.problems[0].code == Code.QUEUE_HELD
    assert not folder.is_waiting
    assert queue.submit(folder)


def test_damaged_records_block_no_run(queue: RunQueue) -> None:
    first, second = make_run(queue, "waits"), make_run(queue)
    queue.submit(first)
    queue.submit(second)
    write_json(second.ticket, {"device": "../../x", "order": float("nan"), "attempts": 0})
    write_json(queue.home.locks / "mps.json", {"run": "x", "attempt": float("inf")})
    assert [one.device for one in queue.waiting()] == ["cpu"]
    assert queue.advance() == []
    assert queue.running() == {"cpu": first.id}
    let_go(first)
    until(lambda: has_ended(second))


def test_next_run_starts_without_writable_log(queue: RunQueue) -> None:
    first, second = make_run(queue, "waits"), make_run(queue)
    queue.submit(first)
    queue.submit(second)
    queue.home.queue_log.unlink(missing_ok=True)
    queue.home.queue_log.mkdir()
    let_go(first)
    until(lambda: has_ended(second))


@pytest.mark.timeout(30)
def test_starting_an_already_started_run_returns_immediately(queue: RunQueue) -> None:
    folder = make_run(queue, "waits")
    queue.submit(folder)
    FinetuneManager(SupervisedTrainer(), queue.home).launch(folder.id)
    assert len(folder.attempts()) == 1
