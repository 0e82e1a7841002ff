"""What is remembered of a run's events; how it is told to a page is in test_curves.py."""

import random
from pathlib import Path

import pytest

from interfaces.events import Evaluated, Event, Sampled, Started, Step, kept, read_events
from interfaces.folders import Home
from interfaces.result import elapsed
from studio.runs.history import RunHistory
from studio.runs.state import list_runs, summarize
from tests.support.records import STARTED, step
from trainer.training.event_log import EventLog


def attempts(seed: int) -> list[list[Event]]:
    """Several attempts of a run, each going on from a random step of the one before, or anew."""
    chance = random.Random(seed)
    last, told = 0, []
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
        told.append(events)
    return told


@pytest.mark.parametrize("seed", range(30))
def test_what_counts_after_resumes_is_what_the_contract_keeps(home: Home, seed: int) -> None:
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
    assert history.seconds == pytest.approx(elapsed(read_events(folder.events)))


def test_a_line_that_is_torn_damaged_or_of_a_later_version_is_no_event(home: Home) -> None:
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


def test_a_diverged_run_is_a_line_of_the_list_that_json_can_carry(home: Home) -> None:
    import json

    folder = home.create_run()
    folder.config.write_text("{}")
    folder.create_attempt()
    with EventLog(folder.events, 1) as log:
        for event in (STARTED, step(1, loss=2.0), step(2, loss=float("nan"))):
            log.append(event)
    record = summarize(folder).to_record()
    assert (record["train_loss_first"], record["train_loss_last"], record["sparkline"]) == (2.0, None, [2.0])
    json.dumps(record, allow_nan=False)


def test_a_list_reads_of_a_run_that_goes_on_only_what_is_new(home: Home, tmp_path: Path) -> None:
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
