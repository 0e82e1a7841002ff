import io
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from interfaces.errors import FineTuneError
from interfaces.events import Event
from interfaces.folders import Home, RunFolder
from interfaces.history import RunHistory
from interfaces.problems import Code
from studio.cli.attach import attach, launch_or_wait, start_run, wait_for_end
from studio.finetune_manager import FinetuneManager
from studio.processes.launcher import LocalLauncher
from studio.runs.queue import RunQueue, Waiting
from studio.runs.state import follow
from studio.runs.supervised_trainer import SupervisedTrainer
from tests.support.fakes import fake_trainer

pytestmark = pytest.mark.process

CONFIG = {"model_name": "starter", "dataset": "rows.jsonl"}


def launched(home: Home, script: str) -> tuple[FinetuneManager, RunFolder, Console]:
    manager = FinetuneManager(SupervisedTrainer(LocalLauncher(fake_trainer(script))), home)
    folder = home.run(manager.create_task(CONFIG))
    manager.launch(folder.id)
    return manager, folder, Console(file=io.StringIO(), width=300, highlight=False)


@pytest.fixture(autouse=True)
def none_outlives_its_test(home: Home) -> Iterator[None]:
    yield
    RunQueue(home).pause()
    for path in home.runs.glob("*"):
        LocalLauncher().signal(RunFolder(path), signal.SIGKILL)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"instruction": "a", "output": "b"}\n')
    return path


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def interrupt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C as soon as a run is followed."""
    presses = [KeyboardInterrupt()]

    def follow_or_not(history: RunHistory) -> Iterator[list[Event]]:
        if presses:
            raise presses.pop()
        return follow(history)

    monkeypatch.setattr("studio.cli.attach.follow", follow_or_not)


def test_successful_run_prints_its_summary(home: Home) -> None:
    manager, folder, console = launched(home, "finishes")
    folder.adapter.mkdir()
    assert attach(manager, folder, console, as_json=False) == 0
    text = text_of(console)
    assert "Loss: 1.0000 at the first step, 0.3333 at the last of 3 steps (-67%)." in text
    assert f"Adapter: {folder.adapter}" in text
    assert folder.summary.exists()


@pytest.mark.parametrize(
    ("script", "code", "says"), [("crashes", 1, "exited with code 7"), ("fails", 2, "has no chat template")]
)
def test_failed_run_prints_reason_and_exit_code(home: Home, script: str, code: int, says: str) -> None:
    manager, folder, console = launched(home, script)
    assert attach(manager, folder, console, as_json=False) == code
    assert says in text_of(console)


def test_json_prints_events_then_the_result(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    manager, folder, console = launched(home, "finishes")
    assert attach(manager, folder, console, as_json=True) == 0
    *events, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["kind"] for event in events] == ["started", "step", "step", "step", "finished"]
    assert set(last) == {
        "run", "state", "adapter", "train_loss_first", "train_loss_last", "tokens_per_second", "peak_memory_bytes",
    }  # fmt: skip
    assert (last["run"], last["state"], last["train_loss_last"]) == (folder.id, "finished", pytest.approx(1 / 3))


def test_processes_are_gone_when_attach_returns(home: Home) -> None:
    manager, folder, console = launched(home, "lingers")
    assert attach(manager, folder, console, as_json=False) == 0
    assert LocalLauncher().find(folder) is None


def test_without_a_terminal_ctrl_c_leaves_the_run_alone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    manager, folder, console = launched(home, "waits")

    interrupt_once(monkeypatch)
    assert attach(manager, folder, console, as_json=False) == 0
    assert "It is running in the background" in text_of(console)
    assert LocalLauncher().find(folder) is not None
    manager.request_stop(folder.id)
    assert wait_for_end(folder, console) == "stopped"
    assert "done within 6 s" in text_of(console)


def test_waiting_terminal_starts_after_killed_supervisor(home: Home) -> None:
    manager, first, console = launched(home, "waits")
    second = home.run(manager.create_task(CONFIG))
    (second.path / "go on").touch()
    manager.launch(second.id)
    assert second.is_waiting
    manager.queue = RunQueue(home, LocalLauncher(fake_trainer("waits")))
    assert LocalLauncher().signal(first, signal.SIGKILL)
    assert attach(manager, second, console, as_json=False) == 0


def test_run_started_during_cancel_counts_as_started(home: Home) -> None:
    launcher = LocalLauncher(fake_trainer("finishes"))

    class Quick(RunQueue):
        def place_of(self, folder: RunFolder) -> Waiting | None:
            place = super().place_of(folder)
            self.resume()
            return place

    manager = FinetuneManager(SupervisedTrainer(launcher), home)
    manager.queue = Quick(home, launcher)
    manager.queue.pause()
    folder = home.run(manager.create_task(CONFIG))
    launch_or_wait(manager, folder, Console(file=io.StringIO()), wait=False)
    assert len(folder.attempts()) == 1


def test_ctrl_c_leaves_a_queued_run_queued(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    manager, _first, console = launched(home, "waits")
    second = home.run(manager.create_task(CONFIG))
    manager.launch(second.id)
    interrupt_once(monkeypatch)
    assert attach(manager, second, console, as_json=False) == 0
    assert "Detached. It is queued." in text_of(console)
    assert second.is_waiting


def test_ctrl_c_can_remove_a_queued_run(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    manager, _first, _ = launched(home, "waits")
    second = home.run(manager.create_task(CONFIG))
    manager.launch(second.id)
    interrupt_once(monkeypatch)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    asking = Console(file=io.StringIO(), width=300, highlight=False, force_terminal=True)
    monkeypatch.setattr(asking, "input", lambda question: asking.print(question) or "s")
    attach(manager, second, asking, as_json=False)
    assert "remove it from the queue" in text_of(asking)
    assert "Removed from the queue." in text_of(asking)
    assert "Stopping" not in text_of(asking)
    assert not second.is_waiting


def test_detach_with_json_prints_the_run(home: Home, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manager = FinetuneManager(SupervisedTrainer(LocalLauncher(fake_trainer("finishes"))), home)
    console = Console(file=io.StringIO())
    start_run(manager, {**CONFIG, "dataset": str(rows)}, console, as_json=True, detach=True, wait=False)
    reported = json.loads(capsys.readouterr().out)
    assert reported["run"] == next(home.runs.iterdir()).name
    assert reported["state"] in ("starting", "running", "finished")


def test_ctrl_c_before_the_start_leaves_nothing(home: Home, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = FinetuneManager(SupervisedTrainer(LocalLauncher(fake_trainer("finishes"))), home)

    def interrupted(_run: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(manager, "launch", interrupted)
    config = {**CONFIG, "dataset": str(rows)}
    with pytest.raises(KeyboardInterrupt):
        start_run(manager, config, Console(file=io.StringIO()), as_json=False, detach=False, wait=False)
    assert list(home.runs.iterdir()) == []


def test_unstartable_run_reports_an_error(home: Home) -> None:
    manager = FinetuneManager(SupervisedTrainer(LocalLauncher(lambda _folder, _attempt: ["/no/such/program"])), home)
    with pytest.raises(FineTuneError) as raised:
        manager.launch(manager.create_task(CONFIG))
    assert raised.value.problems[0].code == Code.START_FAILED
