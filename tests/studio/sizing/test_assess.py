import json
from dataclasses import replace
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.device import GIB, Device
from interfaces.folders import Home
from interfaces.problems import Code
from studio.models.catalog import BY_ID
from studio.sizing.assess import assess, duration, step_seconds
from studio.sizing.batch_lengths import Lengths
from studio.sizing.calibration import Calibration
from studio.sizing.records import RunEstimate
from studio.sizing.work import flops_per_token
from tests.support.records import TRIAL, add_run

CPU = Device("cpu", "a processor", 16 * GIB, 16 * GIB, bf16=True)
LENGTHS = Lengths((100,), (1000,), 0.5)
SHAPE = BY_ID["starter"].shape


def config(**settings: Any) -> FineTuneConfig:
    options = {
        "model_name": "starter",
        "validation_split": 0,
        "num_train_epochs": 2,
        "gradient_accumulation_steps": 2,
        **settings,
    }
    return FineTuneConfig(dataset="x", **options)


def test_auto_is_resolved_and_recorded(home: Home) -> None:
    roomy = assess(home, config(), CPU)
    assert roomy.config.gradient_checkpointing is False
    assert roomy.to_record().gradient_checkpointing is False
    small = assess(home, config(), replace(CPU, free_memory_bytes=int(1.05 * roomy.estimate.total_bytes)))
    assert small.config.gradient_checkpointing is True
    assert small.estimate.total_bytes < roomy.estimate.total_bytes


def test_steps_are_counted_and_time_comes_from_this_machine_s_runs(home: Home) -> None:
    steps, seconds = duration(SHAPE, config(), CPU, LENGTHS, Calibration())
    assert (steps, seconds) == (2 * 125, None)
    flops = flops_per_token(SHAPE, config(), LENGTHS)
    known = Calibration((replace(TRIAL, tokens_per_second=500, slowest=400, fastest=625, flops_per_token=flops),))
    steps, seconds = duration(SHAPE, config(), CPU, LENGTHS, known)
    assert seconds == pytest.approx((10 + 2 * 100_000 / 625, 10 + 2 * 100_000 / 400))
    assert duration(SHAPE, config(max_steps=25), CPU, LENGTHS, known)[0] == 25


def test_a_part_kept_aside_is_not_trained(home: Home) -> None:
    assert duration(SHAPE, config(validation_split=0.5), CPU, LENGTHS, Calibration())[0] == 126  # 63 updates an epoch


def test_calibration_corrects_the_fit_level(home: Home) -> None:
    for number in range(3):
        add_run(home, f"20260101-{number}", 1.1)
    assert assess(home, config(), CPU).correction == pytest.approx(1.1)


def test_stored_estimate_can_be_compared_later(home: Home) -> None:
    found = assess(home, config(), CPU).run_record()
    stored = json.loads(json.dumps(found.to_json()))
    assert "output_dir" not in stored["config"]
    again = RunEstimate.model_validate(stored)
    assert (again.total_bytes, again.shape, again.config.max_length) == (found.total_bytes, SHAPE, config().max_length)


def test_dropped_rows_take_no_steps_split_rows_more() -> None:
    lengths = Lengths((100, 4000), (1000, 1000))
    steps = {
        how: duration(SHAPE, config(long_rows=how, max_length=512), CPU, lengths, Calibration())[0]
        for how in ("drop", "truncate", "split")
    }
    assert steps == {"drop": 250, "truncate": 500, "split": 2250}


def test_fitting_but_slow_change_is_impractical(home: Home) -> None:
    """8 billion weights on a CPU: no change of settings makes a step of hundreds of rows bearable."""
    asked = config(model_name="Qwen/Qwen2.5-7B-Instruct", per_device_train_batch_size=64, max_length=1024)
    fit = assess(home, asked, replace(CPU, free_memory_bytes=24 * GIB, total_memory_bytes=24 * GIB)).fit()
    assert fit is not None
    assert fit.estimate.fit_level == "fits"
    assert not fit.is_practical
    assert fit.to_record().practical is False
    a_card = Device("cuda", "a card", 16 * GIB, 16 * GIB, bf16=True)
    assert assess(home, asked, a_card).fit().is_practical  # type: ignore[union-attr]


def test_step_time_uses_measured_speed_if_known() -> None:
    flops = flops_per_token(SHAPE, config(), LENGTHS)
    known = Calibration((replace(TRIAL, tokens_per_second=500, slowest=400, fastest=625, flops_per_token=flops),))
    assert step_seconds(SHAPE, config(), CPU, LENGTHS, known) == pytest.approx(800 / 625)


def test_rows_beyond_model_positions_warn_before_start(home: Home) -> None:
    context = assess(home, config(), CPU).facts.shape.context
    assert context
    for length, codes in ((context, []), (context + 1, [Code.POSITIONS_EXCEEDED])):
        found = assess(home, config(max_length=length), CPU)
        assert [problem.code for problem in found.warnings()] == codes
        assert [one.code for one in found.to_record().warnings] == codes
