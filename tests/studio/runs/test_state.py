from collections.abc import Callable
from typing import Any

import pytest

from interfaces.errors import FineTuneError
from interfaces.events import CheckpointCommitted, Event, Failed, Finished, Started, Step, Stopped, read_events
from interfaces.files import read_json, write_json
from interfaces.folders import Home, RunFolder
from interfaces.history import RunHistory
from interfaces.problems import Code, Problem
from interfaces.run_records import RunMeta
from studio.processes.launcher import LocalLauncher
from studio.runs.curves import updates_since
from studio.runs.diagnosis import problem_of_run
from studio.runs.state import (
    find_run,
    follow,
    list_runs,
    require_known,
    run_state,
    summarize,
    summary_of,
)
from tests.conftest import ROOT
from tests.support.fakes import fake_trainer
from trainer.training.event_log import EventLog

STARTED = Started(run="r", model_name="starter", device="cpu", dtype="float32", threads=1)


def step(number: int) -> Step:
    return Step(
        step=number, total_steps=100, epoch=0.1, loss=1 / number, learning_rate=1e-3, tokens=5, trained_tokens=2, seconds=0.1,
        memory_bytes=1,
    )  # fmt: skip


def run_of(home: Home, *reported: Event, attempts: int = 1, ended: dict[str, Any] | None = None) -> RunFolder:
    folder = home.create_run()
    folder.config.write_text("{}")
    for _ in range(attempts):
        attempt = folder.create_attempt()
        write_json(attempt.pid, {"supervisor": None, "trainer": None})
    with EventLog(folder.events, attempts) as log:
        for event in reported:
            log.append(event)
    if ended is not None:
        write_json(folder.attempt(attempts).exit, ended)
    return folder


FAILED = Failed(step=1, problem=Problem.error(Code.FILE_EMPTY, path="a"))


@pytest.mark.parametrize(
    ("reported", "ended", "state"),
    [
        ((STARTED, step(1)), None, "interrupted"),
        ((), None, "interrupted"),
        ((STARTED, step(1)), {"returncode": None, "signal": "SIGKILL"}, "failed"),
        ((STARTED, step(1), Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1)), {"returncode": 0}, "finished"),
        ((STARTED, step(1), Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1)), None, "finished"),
        ((STARTED, Stopped(step=0, resumable=False)), {"returncode": 0}, "stopped"),
        ((STARTED, FAILED), {"returncode": 1}, "failed"),
    ],
)  # fmt: skip
def test_states_of_inactive_runs(
    home: Home, reported: tuple[Event, ...], ended: dict[str, Any] | None, state: str
) -> None:
    folder = run_of(home, *reported, ended=ended)
    assert run_state(folder, read_events(folder.events)) == state


def test_waiting_run_is_queued_regardless_of_last_attempt(home: Home) -> None:
    folder = home.create_run()
    assert run_state(folder, []) == "stopped"
    folder.config.write_text("{}")
    home.queue.mkdir()
    write_json(folder.ticket, {"attempts": 0})
    assert run_state(folder, []) == "queued"
    resumed = run_of(home, STARTED, FAILED)
    write_json(resumed.create_attempt().pid, {})
    assert run_state(resumed, read_events(resumed.events)) == "interrupted"


def test_starting_attempt_is_not_interrupted(home: Home) -> None:
    import os

    folder = home.create_run()
    attempt = folder.create_attempt()
    assert run_state(folder, []) == "starting"
    os.utime(attempt.path, (1, 1))
    assert run_state(folder, []) == "interrupted"


def test_following_active_run_yields_events_once(home: Home) -> None:
    folder = home.create_run()
    LocalLauncher(fake_trainer("waits")).start(folder)
    reported: list[Event] = []
    for new in follow(RunHistory(folder)):
        reported += new
        if any(isinstance(event, Step) for event in new):
            assert run_state(folder, reported) == "running"
            (folder.path / "go on").touch()
    assert [event.seq for event in reported] == [1, 2, 3, 4, 5]


def test_summary_is_written_at_end_and_after_resume(home: Home) -> None:
    folder = run_of(
        home,
        STARTED,
        *(step(number) for number in range(1, 101)),
        Stopped(step=100, resumable=True),
        ended={"returncode": 0},
    )
    summary = summary_of(folder)
    assert (summary.state, summary.step, summary.train_loss_first, summary.train_loss_last) == (
        "stopped",
        100,
        1.0,
        0.01,
    )
    assert 20 <= len(summary.sparkline) <= 40
    assert read_json(folder.summary) is not None
    assert summary_of(folder) == summary
    folder.create_attempt()
    assert summary_of(folder).attempts == 2


def test_damaged_summary_is_rebuilt(home: Home) -> None:
    folder = run_of(home, STARTED, step(1), FAILED, ended={"returncode": 1})
    write_json(folder.summary, {"attempts": 1, "state": "of the future"})
    assert summary_of(folder).state == "failed"


def test_list_is_newest_first_without_incomplete_runs(home: Home) -> None:
    names = [run_of(home, STARTED).id for _ in range(3)]
    home.create_run()
    assert [run.id for run in list_runs(home)] == sorted(names, reverse=True)
    assert list_runs(Home(home.path / "nowhere")) == []


@pytest.mark.parametrize("part", [lambda name: name, lambda name: name[:18], lambda name: name[-4:]])
def test_a_run_is_found_by_a_part_of_its_id(home: Home, part: Callable[[str], str]) -> None:
    folder = run_of(home, STARTED)
    assert find_run(home, part(folder.id)) == folder


def test_last_is_newest_and_ambiguity_is_reported(home: Home) -> None:
    folders = sorted((run_of(home, STARTED) for _ in range(3)), key=lambda folder: folder.id)
    assert find_run(home, "last") == folders[-1]
    with pytest.raises(FineTuneError) as raised:
        find_run(home, "20")
    assert raised.value.problems[0].code == Code.RUN_AMBIGUOUS
    with pytest.raises(FineTuneError) as raised:
        find_run(home, "none")
    assert raised.value.problems[0].code == Code.RUN_NOT_FOUND


def test_a_run_with_a_checkpoint_can_be_resumed(home: Home) -> None:
    folder = run_of(home, STARTED, step(1), CheckpointCommitted(step=1, path="checkpoints/step-0000001", size_bytes=1))
    assert not summarize(folder).resumable
    folder.checkpoint(1).mkdir(parents=True)
    assert summarize(folder).resumable


def test_silent_attempt_does_not_inherit_earlier_ending(home: Home) -> None:
    folder = run_of(home, STARTED, step(1), Stopped(step=1, resumable=True), ended={"returncode": 0})
    write_json(folder.create_attempt().exit, {"returncode": None, "signal": "SIGKILL"})
    events = read_events(folder.events)
    assert run_state(folder, events) == "failed"
    problem = problem_of_run(folder, events)
    assert problem is not None
    assert problem.code == Code.TRAINER_KILLED


@pytest.mark.parametrize("damage", ["lineage", "events is a folder", "meta"])
def test_one_damaged_run_does_not_hide_the_others(home: Home, damage: str) -> None:
    sound, damaged = run_of(home, STARTED, step(1)), run_of(home, STARTED, step(1))
    if damage == "events is a folder":
        damaged.events.unlink()
        damaged.events.mkdir()
    else:
        getattr(damaged, damage).write_text('{"base": null, "dataset": 5, "name": null}')
    assert {run.id for run in list_runs(home)} == {sound.id, damaged.id}


def test_time_does_not_count_the_pause_between_two_attempts(home: Home) -> None:
    folder = home.create_run()
    folder.config.write_text("{}")
    with folder.events.open("w") as file:
        for attempt, begin in ((1, 1000.0), (2, 9000.0)):
            folder.create_attempt()
            for event in (STARTED, Stopped(step=0, resumable=False)):
                stamp = {"attempt": attempt, "time": begin + (5 if isinstance(event, Stopped) else 0)}
                file.write(event.model_copy(update=stamp).model_dump_json() + "\n")
    assert summarize(folder).seconds == 10


def test_other_version_run_is_listed_and_raises_when_opened(home: Home) -> None:
    good, other = home.create_run(), home.create_run()
    for folder in (good, other):
        folder.config.write_text("{}")
        write_json(folder.lineage, {})
    other.lineage.write_text('{"schema_version": 2}')
    states = {summary.id: summary.state for summary in list_runs(home)}
    assert states[other.id] == "failed"
    assert set(states) == {good.id, other.id}
    assert next(one.name for one in list_runs(home) if one.id == other.id) == "unsupported schema version 2"
    for ask in (summary_of, require_known, lambda folder: updates_since(RunHistory(folder), 0, "en")):
        with pytest.raises(FineTuneError, match="schema version 2"):
            ask(other)
    # A summary is no record of its own: one of another version is made again.
    write_json(good.summary, {**summary_of(good).model_dump(mode="json"), "state": "finished", "schema_version": 2})
    assert summary_of(good).state == "stopped"


def test_summary_has_over_and_scripts_list_no_states(home: Home) -> None:
    folder = run_of(home, STARTED, step(1), Stopped(step=1, resumable=True))
    record = summary_of(folder).model_dump(mode="json")
    assert (record["state"], record["over"]) == ("stopped", True)
    assert summary_of(folder).model_dump(mode="json") == record  # as it is stored
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "studio/static").glob("*.js"))
    assert '"interrupted"]' not in scripts
    assert '"interrupted",' not in scripts


def test_diverged_run_summary_is_valid_json(home: Home) -> None:
    import json

    folder = home.create_run()
    folder.config.write_text("{}")
    folder.create_attempt()
    with EventLog(folder.events, 1) as log:
        for event in (STARTED, step(1), step(2).model_copy(update={"loss": float("nan")})):
            log.append(event)
    record = summarize(folder).model_dump(mode="json")
    assert (record["train_loss_first"], record["train_loss_last"], record["sparkline"]) == (1.0, None, [1.0])
    json.dumps(record, allow_nan=False)


def test_list_reads_only_new_events_of_active_runs(home: Home) -> None:
    folder = home.create_run()
    folder.config.write_text("{}")
    folder.create_attempt()
    with EventLog(folder.events, 1) as log:
        log.append(Started(run="r", model_name="m", device="cpu", dtype="float32", threads=1))
        log.append(step(1))
        histories: dict[str, RunHistory] = {}
        assert list_runs(home, histories)[0].step == 1
        held = histories[folder.id]
        log.append(step(2))
        assert list_runs(home, histories)[0].step == 2
        assert histories[folder.id] is held


def test_queued_run_shows_its_model(home: Home) -> None:
    folder = home.create_run()
    folder.config.write_text("{}")
    RunMeta(name="mine", model="starter", dataset="rows.jsonl").write(folder)
    summary = summarize(folder)
    assert (summary.model, summary.dataset, summary.total_steps) == ("starter", "rows.jsonl", 0)
