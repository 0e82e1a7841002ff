"""What is remembered of a run's events."""

import random

import pytest

from interfaces.events import (
    CheckpointCommitted,
    Evaluated,
    Event,
    Finished,
    Phase,
    Sampled,
    Step,
    Stopped,
    read_events,
)
from interfaces.folders import Home
from interfaces.history import RunHistory, Throughput
from tests.support.records import STARTED, elapsed, kept, step
from trainer.training.event_log import EventLog


def attempts(seed: int) -> list[list[Event]]:
    """Several attempts of a run, each going on from a random step of the one before, or anew."""
    chance = random.Random(seed)
    last, reported = 0, []
    for number in range(chance.randrange(1, 6)):
        begin = chance.choice([0, chance.randrange(last + 1)]) if number else 0
        events: list[Event] = [STARTED.model_copy(update={"resumed_from_step": begin or None})]
        last = begin + chance.randrange(0, 12)
        for at in range(begin + 1, last + 1):
            events.append(step(at, loss=chance.random()))
            if at % 3 == 0:
                events.append(Evaluated(step=at, loss=chance.random(), examples=1, seconds=0.1))
            if at % 4 == 0:
                events.append(Sampled(step=at, prompt="q", answer=str(number)))
        reported.append(events)
    return reported


def test_metrics_stay_beside_their_points_over_a_resume(home: Home) -> None:
    folder = home.create_run()
    history = RunHistory(folder)
    for number, begin in ((1, 0), (2, 2)):
        folder.create_attempt()
        with EventLog(folder.events, number) as log:
            log.append(STARTED.model_copy(update={"resumed_from_step": begin or None}))
            for at in range(begin + 1, 5):
                more = {"kl": float(at)} if at > 2 else {}
                log.append(step(at).model_copy(update={"metrics": {"rewards/margins": at / number, **more}}))
            log.append(Evaluated(step=4, loss=1, examples=1, seconds=0.1, metrics={"rewards/accuracies": 1 / number}))
        history.refresh()
    assert list(history.train.metrics["rewards/margins"]) == [1, 2, 1.5, 2]
    assert [str(value) for value in history.train.metrics["kl"]] == ["nan", "nan", "3.0", "4.0"]
    assert list(history.validation.metrics["rewards/accuracies"]) == [0.5]


@pytest.mark.parametrize("seed", range(30))
def test_steps_after_resumes_count_once(home: Home, seed: int) -> None:
    """Read as it comes, a piece at a time, it is the same as all at once."""
    folder = home.create_run()
    history = RunHistory(folder)
    for number, events in enumerate(attempts(seed), start=1):
        folder.create_attempt()
        with EventLog(folder.events, number) as log:
            for event in events:
                log.append(event)
                if random.Random(seed).random() < 0.3:
                    history.refresh()
    history.refresh()
    counted = list(kept(read_events(folder.events)))
    steps = [event for event in counted if isinstance(event, Step)]
    measured = [event for event in counted if isinstance(event, Evaluated)]
    assert list(history.train.steps) == [event.step for event in steps]
    assert list(history.train.losses) == [event.loss for event in steps]
    assert list(history.validation.losses) == [event.loss for event in measured]
    assert [sample.answer for sample in history.samples] == [e.answer for e in counted if isinstance(e, Sampled)]
    tokens, seconds = sum(event.tokens for event in steps), sum(event.seconds for event in steps)
    assert history.totals.tokens_per_second == (pytest.approx(tokens / seconds) if seconds else None)
    assert (history.latest.step if history.latest else None) == (steps[-1].step if steps else None) or len(steps) > 10
    assert history.seconds == pytest.approx(elapsed(read_events(folder.events)))


def test_torn_damaged_or_newer_lines_are_skipped(home: Home) -> None:
    folder = home.create_run()
    whole = step(1).model_copy(update={"seq": 1}).model_dump_json()
    lines = [
        whole,
        "{",
        '{"kind":"step","seq":2}',
        '{"kind":"invented","seq":3,"attempt":1,"time":1.0}',
        "[1]",
        whole[:-40],
    ]
    folder.events.write_text("\n".join(lines))
    history = RunHistory(folder)
    history.refresh()
    assert list(history.train.steps) == [1]


def test_new_events_are_returned_and_counted_once(home: Home) -> None:
    folder = home.create_run()
    history = RunHistory(folder)
    with EventLog(folder.events, 1) as log:
        log.append(STARTED)
        log.append(step(1))
        assert [event.kind for event in history.read_new()] == ["started", "step"]
        log.append(Finished(step=1, adapter="adapter", peak_memory_bytes=10**9, seconds=1.0))
        assert [event.kind for event in history.read_new()] == ["finished"]
        assert history.read_new() == []
    assert (list(history.train.steps), history.peak_memory_bytes) == ([1], 10**9)


def test_new_attempt_clears_phase_and_ending(home: Home) -> None:
    folder = home.create_run()
    with EventLog(folder.events, 1) as log:
        for event in (
            STARTED,
            step(1),
            step(2),
            CheckpointCommitted(step=2, path="c", size_bytes=1),
            Phase(phase="save"),
        ):
            log.append(event)
        log.append(Stopped(step=2, resumable=True))
    history = RunHistory(folder).refresh()
    assert (history.phase, history.checkpoints[-1].step) == ("save", 2)
    assert isinstance(history.ending, Stopped)
    with EventLog(folder.events, 2) as log:
        log.append(STARTED.model_copy(update={"resumed_from_step": 1}))
    history.refresh()
    assert (history.phase, history.checkpoints, history.ending) == ("", [], None)


@pytest.mark.parametrize(
    ("points", "each", "left"),
    [
        ([], None, None),
        ([(1, 9.0)], 9.0, 99 * 9.0),
        ([(1, 9.0), (2, 2.0)], 2.0, 98 * 2.0),
        ([(1, 9.0), (2, 2.0), (3, 4.0)], 4.0, 97 * 4.0),
        ([(10, 9.0), (20, 40.0), (30, 60.0)], 5.0, 70 * 5.0),  # each point stands for ten steps
    ],
)
def test_throughput_uses_newest_steps(points: list[tuple[int, float]], each: float | None, left: float | None) -> None:
    throughput = Throughput()
    for at, seconds in points:
        throughput.add(at, seconds, 10)
    assert (throughput.seconds_per_step, throughput.seconds_left(100)) == (each, left)
