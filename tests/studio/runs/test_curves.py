import math
import os
import time
from pathlib import Path

import pytest

from interfaces.events import CheckpointCommitted, Evaluated, Finished, Phase, Sampled, Stopped, Stopping
from interfaces.files import write_json
from interfaces.folders import Home
from interfaces.history import RunHistory
from interfaces.process import ProcessIdentity
from studio.runs.curves import MOST_POINTS, curves_as_csv, curves_between, kept_points, updates_since
from studio.runs.state import run_state
from studio.runs.status import Curve
from tests.support.records import STARTED, step
from trainer.training.event_log import EventLog


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_extremes() -> None:
    ys = [1.0] * 100_000
    ys[77_777], ys[33_333], ys[500] = 9.0, -9.0, math.nan
    kept = kept_points(ys)
    assert len(kept) <= MOST_POINTS
    assert {0, 33_333, 77_777, 99_999} <= set(kept)
    assert list(kept) == sorted(kept)


def test_a_short_curve_stays_as_it_is() -> None:
    assert list(kept_points([1.0, math.nan, 3.0])) == [0, 1, 2]


@pytest.fixture
def history(home: Home) -> RunHistory:
    folder = home.create_run()
    folder.create_attempt()
    return RunHistory(folder)


def test_page_gets_everything_once_then_only_updates(history: RunHistory) -> None:
    with EventLog(history.folder.events, 1) as log:
        log.append(STARTED)
        log.append(step(1))
        first = updates_since(history, 0, "en")
        assert (first.reset, first.train.x, first.last) == (True, [1], 2)
        log.append(step(2, loss=0.5))
        log.append(Evaluated(step=2, loss=0.7, examples=1, seconds=0.1))
        second = updates_since(history, first.last, "en")
        assert (second.reset, second.train.x, second.train.y) == (False, [2], [0.5])
        assert second.validation == Curve(x=[2], y=[0.7], tokens=[100], seconds=[1.0])
        assert second.status.eta_seconds == pytest.approx(49)
        assert updates_since(history, second.last, "en").train.x == []


def test_only_checkpoints_that_are_kept_are_listed(history: RunHistory) -> None:
    with EventLog(history.folder.events, 1) as log:
        log.append(STARTED)
        for number in (1, 2, 3):
            log.append(step(number))
            log.append(Evaluated(step=number, loss=1 / number, examples=1, seconds=0.1))
            log.append(CheckpointCommitted(step=number, path=f"checkpoints/step-{number:07d}", size_bytes=number))
    for number in (2, 3):
        history.folder.checkpoint(number).mkdir(parents=True)
    listed = updates_since(history, 0, "en").status.checkpoints
    assert [(one.step, one.size_bytes, one.validation_loss) for one in listed] == [(3, 3, 1 / 3), (2, 2, 1 / 2)]


def test_curves_are_read_in_words_once_the_run_is_over(history: RunHistory) -> None:
    with EventLog(history.folder.events, 1) as log:
        log.append(STARTED)
        for number in range(1, 30):
            log.append(step(number, total=29, loss=1.0))
        assert updates_since(history, 0, "en").status.reading == ""
        log.append(Finished(step=29, adapter="adapter", peak_memory_bytes=1, seconds=1.0))
    assert "leveled off" in updates_since(history, 0, "en").status.reading
    assert "平稳" in updates_since(history, 0, "zh").status.reading


@pytest.mark.parametrize(("total", "advice"), [(100, "resuming the run"), (40, "another epoch")])
def test_loss_that_still_falls_advises_a_resume_before_the_end(history: RunHistory, total: int, advice: str) -> None:
    with EventLog(history.folder.events, 1) as log:
        log.append(STARTED)
        for number in range(1, 41):
            log.append(step(number, total=total, loss=3 - number / 20))
        log.append(Stopped(step=40, resumable=True))
    assert advice in updates_since(history, 0, "en").status.reading


def test_page_drops_repeated_steps_after_resume(history: RunHistory) -> None:
    with EventLog(history.folder.events, 1) as log:
        for event in (STARTED, step(1), step(2), step(3)):
            log.append(event)
    seen = updates_since(history, 0, "en").last
    history.folder.create_attempt()
    with EventLog(history.folder.events, 2) as log:
        log.append(STARTED.model_copy(update={"resumed_from_step": 1}))
        log.append(step(2, loss=9.0))
    reported = updates_since(history, seen, "en")
    assert (reported.reset, reported.train.x, reported.train.y) == (True, [1, 2], [1.0, 9.0])
    assert (reported.train.tokens, reported.train.speed) == ([50, 100], [100.0, 100.0])
    assert reported.status.resumes == [1]


def test_nan_loss_is_a_gap(history: RunHistory) -> None:
    with EventLog(history.folder.events, 1) as log:
        log.append(step(1, loss=math.nan))
    reported = updates_since(history, 0, "en")
    assert reported.train.y == [None]
    assert reported.status.loss is None


@pytest.mark.parametrize("norm", [math.inf, math.nan, None])
def test_step_without_a_finite_gradient_norm_is_a_step(history: RunHistory, norm: float | None) -> None:
    with EventLog(history.folder.events, 1) as log:
        for number in (1, 2, 3):
            log.append(step(number).model_copy(update={"grad_norm": norm if number == 2 else 1.0}))
    train = updates_since(history, 0, "en").train
    assert (train.x, train.tokens, train.grad_norm) == ([1, 2, 3], [50, 100, 150], [1.0, None, 1.0])


def test_samples_come_in_pairs(history: RunHistory) -> None:
    with EventLog(history.folder.events, 1) as log:
        for event in (Sampled(step=0, prompt="q", answer="a"), step(1), Sampled(step=1, prompt="q", answer="b")):
            log.append(event)
        log.append(Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1))
    status = updates_since(history, 0, "en").status
    answers = [{"step": 1, "answer": "b"}]
    assert [one.model_dump() for one in status.samples] == [
        {"prompt": "q", "before": "a", "after": "b", "answers": answers}
    ]
    assert (status.state, status.phase, status.eta_seconds) == ("finished", "", None)


def test_long_curve_is_downsampled_to_two_thousand_points(history: RunHistory, tmp_path: Path) -> None:
    with history.folder.events.open("w") as file:
        file.writelines(
            step(number, 5000).model_copy(update={"seq": number}).model_dump_json() + "\n" for number in range(1, 5001)
        )
    reported = updates_since(history, 0, "zh")
    assert 700 <= len(reported.train.x) <= MOST_POINTS
    assert (reported.train.x[0], reported.train.x[-1]) == (1, 5000)


def test_concurrent_tabs_get_no_duplicates(history: RunHistory) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with history.folder.events.open("w") as file:
        file.writelines(
            step(number, 1500).model_copy(update={"seq": number}).model_dump_json() + "\n" for number in range(1, 1501)
        )
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: updates_since(history, 0, "en").train.x, range(16)))
    assert all(answer == list(range(1, 1501)) for answer in answers)


def test_gaps_do_not_hide_extremes() -> None:
    ys = [1.0] * 10_000
    ys[5000], ys[5001], ys[7000], ys[7001] = math.nan, 8.0, math.inf, -8.0
    assert {8.0, -8.0} <= {ys[index] for index in kept_points(ys)}


def long_run(history: RunHistory, count: int) -> None:
    """A run with a spike of the gradient at step 4001 that its loss doesn't show."""
    with history.folder.events.open("w") as file:
        for number in range(1, count + 1):
            norm = 50.0 if number == 4001 else 1.0
            event = step(number, count).model_copy(update={"seq": number, "grad_norm": norm})
            file.write(event.model_dump_json() + "\n")


def test_zoomed_part_has_all_its_points(history: RunHistory) -> None:
    long_run(history, 9000)
    whole = updates_since(history, 0, "en").train
    assert len(whole.x) <= MOST_POINTS
    assert max(norm or 0 for norm in whole.grad_norm) == 50.0
    part = curves_between(history, 4000, 4099).train
    assert (part.x, part.grad_norm[1]) == (list(range(4000, 4100)), 50.0)
    assert curves_between(history, 9500, 9600).train.x == []


def test_metrics_of_a_method_are_curves_and_columns(history: RunHistory) -> None:
    with EventLog(history.folder.events, 1) as log:
        log.append(STARTED)
        for at in (1, 2):
            log.append(step(at).model_copy(update={"metrics": {"rewards/margins": at / 4, "kl": math.nan}}))
        log.append(Evaluated(step=2, loss=0.7, examples=1, seconds=0.1, metrics={"rewards/accuracies": 0.75}))
    found = updates_since(history, 0, "en")
    assert found.train.metrics == {"rewards/margins": [0.25, 0.5], "kl": [None, None]}
    assert found.validation.metrics == {"rewards/accuracies": [0.75]}
    assert found.status.metrics == {"rewards/margins": 0.5, "rewards/accuracies": 0.75}
    lines = list(curves_as_csv(history))
    assert lines[0].endswith("memory_bytes,rewards/margins,kl\n")
    assert lines[-1].endswith(",0.5,\n")


def test_csv_has_every_step_and_the_validation_losses(history: RunHistory) -> None:
    long_run(history, 3000)
    with EventLog(history.folder.events, 1) as log:
        log.append(Evaluated(step=3000, loss=0.25, examples=1, seconds=0.1))
    lines = list(curves_as_csv(history))
    assert len(lines) == 3001
    assert lines[0].startswith("step,tokens,seconds,loss,validation_loss")
    assert lines[-1] == "3000,150000,1500.0,1.0,0.25,0.001,1.0,7\n"


def test_phases_before_the_first_step_are_timed(history: RunHistory) -> None:
    with EventLog(history.folder.events, 1) as log:
        log.append(STARTED)
        for name in ("model", "tokenize", "tokenize", "train"):
            log.append(Phase(phase=name))
        phases = updates_since(history, 0, "en").status.phases
        assert len(phases) == 3
        assert all(phase.seconds >= 0 for phase in phases)
        log.append(step(1))
        assert updates_since(history, 0, "en").status.phases == []


def test_time_left_counts_steps_not_points(history: RunHistory) -> None:
    with EventLog(history.folder.events, 1) as log:
        for number in (1, 10, 20):
            log.append(step(number))
    assert updates_since(history, 0, "en").status.eta_seconds == pytest.approx(80 * 0.05)


def test_a_stop_counts_down_to_its_bound(history: RunHistory) -> None:
    with EventLog(history.folder.events, 1) as log:
        log.append(step(1))
        log.append(Stopping(mode="save", within_seconds=60))
        write_json(history.folder.attempt(1).pid, {"trainer": own_identity(), "supervisor": None})
        status = updates_since(history, 0, "en").status
        assert status.state == "stopping"
        assert 50 < status.stop_seconds <= 60
        log.append(Stopped(step=1, resumable=True))
        assert updates_since(history, 0, "en").status.stop_seconds is None


def own_identity() -> dict[str, object]:
    identity = ProcessIdentity.of(os.getpid())
    assert identity is not None
    return identity.to_record()


def test_a_million_events_are_read_once_and_followed_quickly(history: RunHistory) -> None:
    line = step(1, 10**6).model_dump_json().replace('"seq":0', '"seq":%d').replace('"step":1', '"step":%d')
    count = 200_000  # a fifth, so that the quick room stays quick
    with history.folder.events.open("w") as file:
        file.writelines(line % (number, number) + "\n" for number in range(1, count + 1))
    first = updates_since(history, 0, "en")
    assert (first.last, first.status.step) == (count, count)
    begun = time.process_time()
    with EventLog(history.folder.events, 1) as log:
        log.append(step(count + 1, 10**6))
    assert updates_since(history, count, "en").train.x == [count + 1]
    assert run_state(history.folder) == "starting"
    assert time.process_time() - begun < 0.1
