import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from interfaces.dataset_records import ShownRow
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from interfaces.trainer_jobs import AddedDataset, RowRequest
from studio.processes.trainer_child import Previews, TrainerChild, add_dataset, run_trainer
from tests.conftest import until

pytestmark = pytest.mark.process
ROW = RowRequest(dataset="x", position=0)


def test_unknown_job_fails_to_start(home: Home) -> None:
    with pytest.raises(FineTuneError) as raised:
        run_trainer(["no-such-job"], AddedDataset)
    assert raised.value.problems[0].code == Code.START_FAILED


def test_a_foreign_trainer_in_the_working_directory_is_not_run(
    home: Home, rows_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "__main__.py").write_text("raise SystemExit('sprung')")
    (tmp_path / "json.py").write_text("raise SystemExit('sprung')")
    monkeypatch.chdir(tmp_path)
    assert len(add_dataset(home.path, rows_file)) == 16


@pytest.fixture
def asked_for_long(home: Home, tiny_model: Path) -> Iterator[Previews]:
    """Previews whose children answer only when they are let: stopped processes stand for ones that are stuck."""
    previews = Previews(home.path)
    yield previews
    for held in list(previews._children.values()):
        os.killpg(held.child._process.pid, signal.SIGCONT)
    previews.close()


def started(previews: Previews, model: str) -> threading.Thread:
    """Somebody asks for a model's preview, and its child never answers."""

    def ask() -> None:
        with contextlib.suppress(FineTuneError):
            previews.ask(model, "main", ROW, ShownRow, seconds=30)

    before = len(previews._children)
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    until(lambda: len(previews._children) > before)
    os.killpg(list(previews._children.values())[-1].child._process.pid, signal.SIGSTOP)
    return thread


def test_third_model_does_not_end_busy_child(asked_for_long: Previews, tiny_model: Path) -> None:
    for name in ("a", "b"):
        started(asked_for_long, name)
    children = [held.child for held in asked_for_long._children.values()]
    with pytest.raises(FineTuneError, match="Too many requests") as raised:
        asked_for_long.ask(str(tiny_model), "main", ROW, ShownRow)
    assert raised.value.problems[0].code == Code.STUDIO_BUSY
    assert all(child.alive for child in children)


def test_waiting_for_stuck_child_fails_soon(asked_for_long: Previews, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Previews, "WAIT_SECONDS", 0.1)
    started(asked_for_long, "a")
    with pytest.raises(FineTuneError, match="Too many requests"):
        asked_for_long.ask("a", "main", ROW, ShownRow)


def test_closing_a_child_is_not_reported_as_out_of_memory(home: Home) -> None:
    previews = Previews(home.path)
    reported: list[Code] = []

    def ask() -> None:
        try:
            previews.ask("a", "main", ROW, ShownRow, seconds=60)
        except FineTuneError as error:
            reported.append(error.problems[0].code)

    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: bool(previews._children))
    previews.close()
    thread.join(30)
    assert reported == [Code.CHILD_CLOSED]


def test_what_a_killed_child_has_not_finished_is_removed(home: Home, rows_file: Path) -> None:
    from interfaces.folders import unfinished

    child = TrainerChild(["inspect", "--home", str(home.path), "--", str(rows_file)], home=home.path)
    left = home.datasets / f".adding-{child._process.pid}-00000000"
    other = home.datasets / ".adding-1-00000000"
    for path in (left, other):
        path.mkdir(parents=True)
        (path / "examples.jsonl").write_bytes(b"x" * 1000)
    child.close()
    assert unfinished(home.path) == [other], "that of a process which goes on stays"
