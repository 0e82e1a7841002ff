from pathlib import Path

from interfaces.events import CheckpointCommitted, Phase, Stopped, read_events
from trainer.event_log import EventLog


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


def test_a_line_torn_by_a_kill_is_cut_off_before_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path, 1) as log:
        log.append(committed(1))
    with path.open("a") as file:
        file.write('{"schema_version":1,"seq":2,"ki')
    with EventLog(path, 2) as log:
        log.append(committed(2))
    assert [(event.seq, event.attempt) for event in read_events(path)] == [(1, 1), (2, 2)]
    assert len(path.read_text().splitlines()) == 2


def test_progress_is_thinned_but_its_start_and_end_are_told(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path, 1) as log:
        for done in range(1001):
            log.phase("download", done, 1000, "bytes")
    told = [event.done for event in read_events(path) if isinstance(event, Phase)]
    assert told[0] == 0
    assert told[-1] == 1000
    assert len(told) < 50
