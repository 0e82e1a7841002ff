"""What processes write down about a run, and what damaged or handmade records mean."""

from pathlib import Path
from typing import get_args

import pytest

from interfaces.events import ENDINGS
from interfaces.files import read_json
from interfaces.process import ProcessIdentity
from interfaces.run_control import (
    FINAL_KINDS,
    Assignment,
    DeviceLock,
    ExitRecord,
    ProcessRecord,
    StopRequest,
    Ticket,
    last_event,
)

ME = ProcessIdentity(7, "12", "boot")


@pytest.mark.parametrize(
    "record",
    [
        StopRequest("discard", 2), ExitRecord(1, None, "SIGKILL", "out_of_memory", 12.5), ProcessRecord(ME, None, "abc"),
        Ticket("cuda:1", 2.0, 0, failures=1), DeviceLock("20261129-100000-abcd", 3),
    ],
)  # fmt: skip
def test_records_are_read_as_written(
    tmp_path: Path, record: StopRequest | ExitRecord | ProcessRecord | Ticket | DeviceLock
) -> None:
    path = tmp_path / "record.json"
    assert not path.exists()
    record.write(path)
    assert type(record).of(path) == record
    assert (read_json(path) or {})["schema_version"] == 1


def test_missing_records(tmp_path: Path) -> None:
    path = tmp_path / "missing.json"
    assert [kind.of(path) for kind in (StopRequest, ExitRecord, Ticket, DeviceLock)] == [None] * 4
    assert ProcessRecord.of(path) == ProcessRecord(None, None)


@pytest.mark.parametrize("text", ["", "{}", "[]", "not json", '{"attempt": "x", "mode": 3}'])
def test_handmade_stop_file_names_no_attempt_and_saves(tmp_path: Path, text: str) -> None:
    path = tmp_path / "stop"
    path.write_text(text)
    assert StopRequest.of(path) == StopRequest("save", None)


def test_damaged_values_read_as_none_or_zero(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text('{"device": 3, "order": NaN, "attempts": "x", "cause": "magic", "returncode": "1", "run": 1}')
    assert Ticket.of(path) == Ticket("3", 0.0, None)
    assert ExitRecord.of(path) == ExitRecord(0, None, None, "failed", 0.0)
    assert DeviceLock.of(path) == DeviceLock("1", 0)


def test_assignment_survives_its_pipe(tmp_path: Path) -> None:
    wanted = Assignment(tmp_path / "a run\nwith a line break", 3)
    assert wanted.to_line().count("\n") == 1
    assert Assignment.of(wanted.to_line().encode()) == wanted


def test_last_event_is_none_while_it_is_being_written(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    assert last_event(log) == {}
    log.write_text('{"kind": "step"}\n{"kind": "finished"}\n')
    assert last_event(log) == {"kind": "finished"}
    log.write_text('{"kind": "step"}\n{"kind": "fini')
    assert last_event(log) == {}


def test_final_kinds_are_those_of_the_events() -> None:
    kinds = [get_args(kind.model_fields["kind"].annotation)[0] for kind in ENDINGS]
    assert sorted(kinds) == sorted(FINAL_KINDS)
