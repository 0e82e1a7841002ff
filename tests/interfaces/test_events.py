import json
import math
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.events import (
    KINDS,
    CheckpointCommitted,
    Evaluated,
    EventReader,
    Failed,
    Finished,
    Phase,
    Sampled,
    Started,
    Step,
    Stopped,
    Stopping,
    Warned,
    parse_event,
    read_events,
    read_tail,
)  # fmt: skip
from interfaces.problems import Code, Problem
from tests.support.records import kept

PROBLEM = Problem.error(Code.FILE_MISSING, path="a")


def step(number: int, attempt: int = 1, loss: float = 1.0) -> Step:
    return Step(
        step=number, total_steps=9, epoch=1.0, loss=loss, learning_rate=1e-3, tokens=5, trained_tokens=2, seconds=0.1,
        memory_bytes=1, attempt=attempt,
    )  # fmt: skip


ONE_OF_EACH = [
    Started(run="r", model_name="m", device="cpu", dtype="float32", threads=1),
    Phase(phase="train"),
    step(1),
    Evaluated(step=1, loss=1.0, examples=2, seconds=0.1),
    Sampled(step=0, prompt="p", answer="a"),
    CheckpointCommitted(step=1, path="checkpoints/step-0000001", size_bytes=1),
    Stopping(mode="save", within_seconds=4.5),
    Warned(problem=PROBLEM),
    Failed(step=1, problem=PROBLEM),
    Stopped(step=1, resumable=True),
    Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1.0),
]


def test_every_event_kind_survives_serialization() -> None:
    assert len(ONE_OF_EACH) == len(KINDS) == 11
    for event in ONE_OF_EACH:
        assert parse_event(event.model_dump_json()) == event
        assert json.loads(event.model_dump_json())["schema_version"] == 1


def test_nan_loss_survives_serialization() -> None:
    line = step(1, loss=math.nan).model_dump_json()
    json.loads(line, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))  # strict JSON
    event = parse_event(line)
    assert isinstance(event, Step)
    assert math.isnan(event.loss)


def test_a_reader_skips_unknown_kinds_and_garbage(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"kind": "of_the_future", "x": 1}\nnot json\n' + step(1).model_dump_json() + "\n")
    assert [event.kind for event in read_events(path)] == ["step"]


def test_a_torn_last_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path, line = tmp_path / "events.jsonl", step(2).model_dump_json()
    path.write_text(step(1).model_dump_json() + "\n" + line[:30])
    reader = EventReader(path)
    assert [event.step for event in reader.read_new() if isinstance(event, Step)] == [1]
    assert reader.read_new() == []
    with path.open("a") as file:
        file.write(line[30:] + "\n")
    assert [event.step for event in reader.read_new() if isinstance(event, Step)] == [2]


def test_a_file_that_is_not_there_yet_has_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path / "none") == []


def test_after_a_resume_each_step_counts_once() -> None:
    resumed = Started(run="r", model_name="m", device="cpu", dtype="float32", threads=1, attempt=2, resumed_from_step=2)
    events = [step(1), step(2), step(3), step(4), resumed, step(3, attempt=2), step(4, attempt=2), step(5, attempt=2)]
    assert [(event.step, event.attempt) for event in kept(events) if isinstance(event, Step)] == [
        (1, 1), (2, 1), (3, 2), (4, 2), (5, 2),
    ]  # fmt: skip


def test_after_a_retry_from_scratch_nothing_old_counts() -> None:
    again = Started(run="r", model_name="m", device="cpu", dtype="float32", threads=1, attempt=2)
    events = [step(1), step(2), again, step(1, attempt=2)]
    assert [(event.step, event.attempt) for event in kept(events) if isinstance(event, Step)] == [(1, 2)]


def test_two_resumes_from_the_same_checkpoint() -> None:
    second = Started(run="r", model_name="m", device="cpu", dtype="float32", threads=1, attempt=2, resumed_from_step=2)
    third = second.model_copy(update={"attempt": 3})
    events = [step(1), step(2), step(3), second, step(3, attempt=2), third, step(3, attempt=3)]
    assert [(event.step, event.attempt) for event in kept(events) if isinstance(event, Step)] == [
        (1, 1),
        (2, 1),
        (3, 3),
    ]


def test_the_tail_holds_the_last_events_whole_of_any_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert read_tail(path) == []
    lines = [step(number).model_dump_json() for number in range(1, 2001)]
    path.write_text("\n".join(lines) + "\n" + '{"kind":"st')
    tail = read_tail(path, size=1000)
    assert tail == read_events(path)[-len(tail) :]
    assert 1 <= len(tail) < 10
    long = Sampled(step=9, prompt="p", answer="a" * 5000)
    path.write_text("\n".join([*lines, long.model_dump_json()]) + "\n")
    assert read_tail(path, size=1000)[-1] == long


def test_events_of_another_version_are_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(Step.model_construct(schema_version=2, step=1).model_dump_json() + "\n")
    for read in (read_events, read_tail):
        with pytest.raises(FineTuneError) as raised:
            read(path)
        assert raised.value.problems[0].code == Code.SCHEMA_UNKNOWN
        assert str(path) in str(raised.value)
