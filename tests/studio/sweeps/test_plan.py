"""What a sweep would run: every combination, counted and timed, and what is refused."""

from __future__ import annotations

import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from interfaces.run_records import SweepValue
from studio.sweeps.plan import MOST_RUNS, configs_of, plan_of, sweepable

CONFIG = {"model_name": "starter", "dataset": "rows.jsonl", "lora": {"r": 4, "lora_alpha": 8}}


def values(asked: dict[str, str]) -> list[dict[str, SweepValue]]:
    return [found for found, _ in configs_of(CONFIG, asked)]


def code(asked: dict[str, str]) -> tuple[Code, dict[str, object]]:
    with pytest.raises(FineTuneError) as raised:
        configs_of(CONFIG, asked)
    return raised.value.problems[0].code, raised.value.problems[0].params


def test_each_combination_is_one_run() -> None:
    found = configs_of(CONFIG, {"learning_rate": "1e-4, 2e-4", "lora.r": "8 16"})
    assert [one for one, _ in found] == [
        {"learning_rate": rate, "lora.r": rank} for rate in (1e-4, 2e-4) for rank in (8, 16)
    ]
    assert [(config.learning_rate, config.lora.r, config.lora.lora_alpha) for _, config in found] == [
        (1e-4, 8, 8), (1e-4, 16, 8), (2e-4, 8, 8), (2e-4, 16, 8),
    ]  # fmt: skip


def test_values_may_be_switches_and_choices_and_are_each_tried_once() -> None:
    assert values({"packing": "true，false", "lr_scheduler_type": "linear；cosine"})[0] == {
        "packing": True, "lr_scheduler_type": "linear",
    }  # fmt: skip
    assert values({"seed": "1, 2,", "lora.r": ""}) == [{"seed": 1}, {"seed": 2}]
    assert values({"learning_rate": "0.1 0.10 1e-1 0.2"}) == [{"learning_rate": 0.1}, {"learning_rate": 0.2}]


def test_at_most_64_runs_and_at_least_two() -> None:
    seeds = ", ".join(map(str, range(MOST_RUNS)))
    assert len(values({"seed": seeds})) == 64
    assert code({"seed": f"{seeds}, 64"}) == (Code.SWEEP_SIZE, {"count": 65, "most": 64})
    assert code({"seed": "1 1 1"}) == (Code.SWEEP_SIZE, {"count": 1, "most": 64})


def test_one_to_three_known_settings() -> None:
    assert code({})[0] == code({"seed": " "})[0] == Code.SWEEP_SETTINGS
    four = {"seed": "1 2", "learning_rate": "1e-4 1e-3", "lora.r": "4 8", "weight_decay": "0 0.1"}
    assert code(four) == (Code.SWEEP_SETTINGS, {"count": 4, "most": 3})
    assert code({"output_dir": "/a /b"}) == (Code.SWEEP_SETTING_UNKNOWN, {"value": "output_dir"})
    assert not {"dataset", "validation_split", "max_length"} & set(sweepable())
    assert {"learning_rate", "seed", "lora.r", "packing", "bf16", "optim"} <= set(sweepable())


def test_an_invalid_value_is_named() -> None:
    problem, params = code({"learning_rate": "1e-4, fast", "lora.r": "8, 16"})
    assert (problem, params["field"], params["value"]) == (Code.VALUE_INVALID, "learning_rate", "'fast'")


def test_runs_are_counted_and_those_that_do_not_fit_too(home: Home) -> None:
    plan = plan_of(home, CONFIG, {"seed": "1 2 3", "lora.r": "8 16"})
    assert (plan.runs, plan.too_big, plan.seconds) == (6, 0, None)  # the lengths of the rows aren't known yet
    huge = {**CONFIG, "model_name": "Qwen/Qwen2.5-7B-Instruct", "max_length": 131072}
    assert plan_of(home, huge, {"per_device_train_batch_size": "1 4096"}).too_big >= 1
