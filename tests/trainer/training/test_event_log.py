import time
from pathlib import Path
from shutil import disk_usage

import pytest

from interfaces.events import CheckpointCommitted, Failed, Phase, Stopped, read_events
from interfaces.problems import Code, Problem
from tests.conftest import until
from tests.faults.disks import small_disk
from trainer.training.event_log import EventLog


def committed(step: int) -> CheckpointCommitted:
    return CheckpointCommitted(step=step, path="x", size_bytes=1)


def test_events_are_numbered_over_all_attempts(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path, 1) as log:
        log.append(committed(1))
    with EventLog(path, 2) as log:
        log.append(Stopped(step=1, resumable=True))
    assert [(event.seq, event.attempt) for event in read_events(path)] == [(1, 1), (2, 2)]
    assert all(event.time > 1.7e9 for event in read_events(path))


def test_torn_line_is_removed_before_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path, 1) as log:
        log.append(committed(1))
    with path.open("a") as file:
        file.write('{"schema_version":1,"seq":2,"ki')
    with EventLog(path, 2) as log:
        log.append(committed(2))
    assert [(event.seq, event.attempt) for event in read_events(path)] == [(1, 1), (2, 2)]
    assert len(path.read_text().splitlines()) == 2


def test_progress_is_rate_limited_except_start_and_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path, 1) as log:
        for done in range(1001):
            log.phase("download", done, 1000, "bytes")
    reported = [event.done for event in read_events(path) if isinstance(event, Phase)]
    assert reported[0] == 0
    assert reported[-1] == 1000
    assert len(reported) < 50


def test_last_event_is_synced_soon(tmp_path: Path) -> None:
    """A step is no change of state; who syncs it is a thread."""
    with EventLog(tmp_path / "events.jsonl", 1) as log:
        log.append(Phase(phase="train"))
        assert log.is_behind
        until(lambda: not log.is_behind)


def test_nothing_follows_the_final_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path, 1) as log:
        assert log.append(Stopped(step=1, resumable=True))
        assert not log.append(Stopped(step=2, resumable=True))
    assert len(read_events(path)) == 1


def say_much(log: EventLog) -> None:
    for step in range(10_000):
        log.append(committed(step))


def test_full_disk_keeps_lines_intact_and_final_event_fits(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 400_000) as disk:
        path = disk / "events.jsonl"
        with EventLog(path, 1) as log:
            log.hold_space(disk / ".reserve")
            (disk / "ballast").write_bytes(bytes(disk_usage(disk).free - 9000))
            with pytest.raises(OSError, match="No space left") as raised:
                say_much(log)
            assert raised.value.filename == str(path)
            assert log.append(Failed(step=3, problem=Problem.error(Code.DISK_FULL, path="x")))
        assert path.read_bytes().endswith(b"}\n")
        reported = read_events(path)
        assert isinstance(reported[-1], Failed)
        assert [event.seq for event in reported] == list(range(1, len(reported) + 1))
        assert len(reported) == len(path.read_bytes().splitlines())


def test_disk_without_reserve_space_is_reported_immediately(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 100_000) as disk, EventLog(disk / "events.jsonl", 1) as log:
        (disk / "ballast").write_bytes(bytes(disk_usage(disk).free - 9000))
        with pytest.raises(OSError, match="No space left"):
            log.hold_space(disk / ".reserve")


def test_long_log_opens_as_fast_as_short_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    line = committed(1).model_copy(update={"seq": 7}).model_dump_json() + "\n"
    path.write_text(line * 500_000 + '{"torn')
    begun = time.process_time()
    with EventLog(path, 2) as log:
        log.append(committed(2))
    assert time.process_time() - begun < 0.2
    assert path.read_bytes()[-len(line) * 3 :].splitlines()[-1].startswith(b'{"schema_version":1,"seq":8,"attempt":2')


def test_each_later_event_reports_a_disk_that_failed_unseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def fails(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with EventLog(tmp_path / "events.jsonl", 1) as log:
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", fails)
            log.append(Phase(phase="train"))
            until(lambda: not log.is_behind)
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output"):
                log.append(Phase(phase="train"))
        assert log.append(Failed(step=3, problem=Problem.error(Code.DISK_ERROR, path="x")))
