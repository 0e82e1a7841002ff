"""What finished runs teach: the error of estimates, a correction, and the machine's speed."""

from dataclasses import replace

import pytest

from interfaces.config import FineTuneConfig
from interfaces.device import GIB, Device
from interfaces.files import read_json
from interfaces.folders import Home
from interfaces.validation import config_errors
from studio.sizing.calibration import (
    Calibration,
    calibration_of,
    estimate_of_run,
    timing_config,
    trial_of,
    variant_name,
)
from tests.support.records import TRIAL, add_run

DEVICE = Device("cpu", "a processor", 16 * GIB, 16 * GIB)


def test_finished_run_trial_ignores_first_step_speed(home: Home) -> None:
    trial = trial_of(add_run(home, "20260101-1", 1.1))
    assert trial is not None
    assert trial.ratio == pytest.approx(1.1)
    assert (trial.tokens_per_second, trial.model) == (100.0, "starter")


def test_on_a_gpu_tensors_are_compared_with_tensors(home: Home) -> None:
    trial = trial_of(add_run(home, "20260101-1", 1.0, kind="cuda"))
    assert trial is not None
    assert trial.ratio == pytest.approx(1.0)


def test_a_correction_is_not_learned_from_itself(home: Home) -> None:
    """A run that was estimated with a correction tells of the estimate without it: else it would undo what it taught."""
    trial = trial_of(add_run(home, "20260101-1", 1.1, correction=1.1))
    assert trial is not None
    assert trial.ratio == pytest.approx(1.1)


def test_timed_steps_count_regardless_of_run_result(home: Home) -> None:
    folder = add_run(home, "20260101-1", 1.1)
    *steps, _end = folder.events.read_text().splitlines(keepends=True)
    folder.events.write_text("".join(steps))
    assert trial_of(folder) is None, "two are too few"
    folder.events.write_text("".join([*steps, steps[-1]]))
    trial = trial_of(folder)
    assert trial is not None
    assert trial.tokens_per_second == 100.0
    calibration = calibration_of(home)
    assert calibration.tokens_per_second(DEVICE, "starter", "16 bits", trial.flops_per_token) == pytest.approx(
        (100.0 / 1.1, 100.0 * 1.1)
    )
    assert calibration.error() is None, "its largest batch may not have come yet"


def test_incomplete_epoch_calibrates_only_speed(home: Home) -> None:
    folder = add_run(home, "20260101-1", 0.6)
    half = folder.events.read_text().replace('"epoch":1.0', '"epoch":0.5').splitlines(keepends=True)
    folder.events.write_text("".join([*half[:-1], half[-2], half[-1]]))  # three timed steps
    trial = trial_of(folder)
    assert trial is not None
    assert (trial.measured_bytes, trial.tokens_per_second) == (0, 100.0)


def test_timing_run_has_same_batches_and_no_extras() -> None:
    mine = {
        "model_name": "starter", "dataset": "rows", "max_length": 99, "per_device_train_batch_size": 2, "name": "mine",
        "load_best_model_at_end": True, "early_stopping_patience": 2, "sample_prompts": ["?"],
    }  # fmt: skip
    config = timing_config(mine)
    assert config_errors(config) == []
    assert {name: config[name] for name in list(mine)[:4]} == {name: mine[name] for name in list(mine)[:4]}
    assert (config["max_steps"], config["validation_split"], config["sample_prompts"]) == (4, 0.0, [])


def test_runs_without_estimate_do_not_calibrate(home: Home) -> None:
    folder = add_run(home, "20260101-1", 1.1)
    folder.estimate.write_text("{}")
    assert trial_of(folder) is None
    folder.estimate.unlink()
    assert trial_of(folder) is None


def test_correction_is_bounded_median_of_three_runs() -> None:
    def correction(*ratios: float) -> float:
        trials = tuple(replace(TRIAL, measured_bytes=round(1000 * ratio)) for ratio in ratios)
        return Calibration(trials).correction(DEVICE)

    assert correction(1.2, 1.2) == 1.0
    assert correction(1.0, 1.1, 1.2) == 1.1
    assert correction(9.0, 9.0, 9.0) == 1.3
    assert Calibration((TRIAL,) * 3).correction(replace(DEVICE, name="another")) == 1.0


def test_the_error_is_that_of_the_estimate() -> None:
    assert Calibration().error() is None
    assert Calibration((TRIAL,)).error() == pytest.approx(1 - 1000 / 1100)


def test_speed_is_by_model_else_by_device_flops() -> None:
    other = replace(TRIAL, model="other", tokens_per_second=10.0, slowest=9.0, fastest=12.0, flops_per_token=2e9)
    calibration = Calibration((TRIAL, other))

    def range_of(model: str, flops: float) -> tuple[float, float] | None:
        return calibration.tokens_per_second(DEVICE, model, "16 bits", flops)

    assert range_of("starter", 2e8) == pytest.approx((40.0, 60.0))
    assert range_of("starter", 4e8) == pytest.approx((20.0, 30.0))
    assert range_of("third", 2e9) == pytest.approx((4.0, 12.0)), "all that was seen here"
    assert Calibration().tokens_per_second(DEVICE, "starter", "16 bits", 2e8) is None


def test_calibration_uses_estimate_with_real_rows(home: Home) -> None:
    """Short rows that were estimated as long as max_length must not teach that long ones need less."""
    for number in range(3):
        folder = add_run(home, f"20260101-{number}", 1.0)
        before = read_json(folder.estimate)
        own = estimate_of_run(folder)
        assert before is not None
        assert own is not None
        assert own.total_bytes < 0.75 * before["total_bytes"], "the case is one in which it matters"
    assert calibration_of(home).correction(DEVICE) == pytest.approx(1.0, abs=0.001)
    assert calibration_of(home).error() == pytest.approx(0.0, abs=0.001)


def test_uncounted_run_shows_initial_estimate_and_does_not_calibrate(home: Home) -> None:
    folder = add_run(home, "20260101-1", 1.0)
    folder.lengths.unlink()
    expected, stored = estimate_of_run(folder), read_json(folder.estimate)
    assert expected is not None
    assert stored is not None
    assert (expected.total_bytes, expected.flops_per_token) == (stored["total_bytes"], None)
    assert trial_of(folder) is None


def test_calibration_comes_from_runs_of_the_home(home: Home) -> None:
    add_run(home, "20260101-1", 1.1)
    add_run(home, "20260101-2", 1.0)
    assert {trial.run for trial in calibration_of(home).trials} == {"20260101-1", "20260101-2"}


def test_unusable_runs_do_not_hide_usable_trials(home: Home) -> None:
    add_run(home, "20260101-1", 1.1)
    for number in range(60):
        home.run(f"20260102-{number}").path.mkdir()
    assert [trial.run for trial in calibration_of(home).trials] == ["20260101-1"]


def test_variants_are_distinguished() -> None:
    assert variant_name(FineTuneConfig(load_in_4bit=True, gradient_checkpointing=True)) == "4 bits, recomputed"
    assert variant_name(FineTuneConfig(gradient_checkpointing="auto")) == "16 bits"
