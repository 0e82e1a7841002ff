"""Polling the list of runs by a cursor."""

import json
import os

import pytest

from interfaces.events import Finished, Step
from interfaces.files import write_json
from interfaces.folders import Home, RunFolder
from interfaces.run_control import ExitRecord
from interfaces.run_records import RunMeta
from studio.runs.changes import changes_since
from studio.runs.state import RunState
from trainer.training.event_log import EventLog


def add_run(home: Home) -> RunFolder:
    folder = home.create_run()
    folder.config.write_text("{}")
    attempt = folder.create_attempt()
    with EventLog(folder.events, 1) as log:
        for step in range(1, 30):
            log.append(
                Step(
                    step=step, total_steps=29, epoch=1, loss=1 / step, learning_rate=1e-3, tokens=10, trained_tokens=5,
                    seconds=0.1, memory_bytes=1,
                )
            )  # fmt: skip
        log.append(Finished(step=29, adapter="adapter", peak_memory_bytes=1, seconds=1.0))
    ExitRecord(1, 0, None, "ended", 1.0).write(attempt.exit)
    return folder


@pytest.fixture
def finished(home: Home) -> list[RunFolder]:
    folders = [add_run(home) for _ in range(3)]
    assert {run.state for run in changes_since(home, "").runs} == {RunState.FINISHED}
    return folders


def changed(home: Home, cursor: str) -> tuple[str, list[str]]:
    found = changes_since(home, cursor)
    assert not found.whole
    return found.cursor, [run.id for run in found.runs]


def later(folder: RunFolder, seconds: float) -> None:
    """As if the folder's last change had been then: this machine's clock ticks every few milliseconds."""
    when = folder.path.stat().st_mtime + seconds
    os.utime(folder.path, (when, when))


def test_first_answer_is_whole_and_the_next_one_small(home: Home, finished: list[RunFolder]) -> None:
    later(finished[1], 10)
    first = changes_since(home, "")
    assert first.whole
    assert len(first.runs) == 3
    cursor, ids = changed(home, first.cursor)
    assert ids == [finished[1].id]  # the newest change may have happened in the same tick
    assert cursor == first.cursor


def test_renamed_run_is_in_the_next_answer(home: Home, finished: list[RunFolder]) -> None:
    later(finished[0], 10)
    cursor = changes_since(home, "").cursor
    RunMeta(name="another").write(finished[2])
    later(finished[2], 20)
    _, ids = changed(home, cursor)
    assert set(ids) <= {finished[0].id, finished[2].id}
    assert finished[2].id in ids


def test_new_deleted_or_queued_run_gives_all_runs(home: Home, finished: list[RunFolder]) -> None:
    cursor = changes_since(home, "").cursor
    new = add_run(home)
    found = changes_since(home, cursor)
    assert (found.whole, len(found.runs)) == (True, 4)
    new.path.rename(home.path / "elsewhere")
    found = changes_since(home, found.cursor)
    assert (found.whole, len(found.runs)) == (True, 3)
    home.queue.mkdir(exist_ok=True)
    os.utime(home.queue, (1e9, 1e9))  # whatever the clock says
    found = changes_since(home, found.cursor)
    assert found.whole
    assert not changes_since(home, found.cursor).whole


def test_run_that_is_not_over_is_in_every_answer(home: Home, finished: list[RunFolder]) -> None:
    active = home.create_run()
    write_json(active.config, {})
    active.create_attempt()
    later(finished[0], 1000)
    cursor = changes_since(home, "").cursor
    _, ids = changed(home, cursor)
    assert active.id in ids


def test_resumed_run_is_in_every_answer_until_it_is_over(home: Home, finished: list[RunFolder]) -> None:
    finished[1].create_attempt()
    later(finished[0], 1000)
    cursor = changes_since(home, "").cursor
    _, ids = changed(home, cursor)
    assert finished[1].id in ids


def test_answer_without_changes_is_below_two_kilobytes(home: Home) -> None:
    for _ in range(40):
        add_run(home)
    changes_since(home, "")
    last = changes_since(home, "")
    answer = changes_since(home, last.cursor)
    sizes = [len(json.dumps(found.model_dump(mode="json"))) for found in (last, answer)]
    assert sizes[0] > 10_000
    assert sizes[1] < 2_000
