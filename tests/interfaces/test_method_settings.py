from typing import get_args

import pytest

from interfaces.config import FineTuneConfig, learning_rates, method_of, token_budget
from interfaces.method_settings import METHODS, Method, methods_for
from interfaces.texts import sentence
from interfaces.validation import config_problems

REWARD = {"method": "reward", "long_rows": "drop"}


def test_each_method_has_its_settings_in_the_config() -> None:
    assert tuple(METHODS) == get_args(Method)
    for name, settings in METHODS.items():
        assert type(method_of(FineTuneConfig(method=name))) is settings  # type: ignore[arg-type]


def test_a_method_is_proposed_for_what_the_rows_hold() -> None:
    assert methods_for("pairs") == ["dpo", "orpo", "reward"]
    assert methods_for("labels") == ["kto"]
    assert methods_for("texts") == ["pretrain"]
    assert "sft" in methods_for("answers")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"method": "dpo", "dpo": {"beta": 0}}, "dpo.beta"),
        ({"method": "dpo", "dpo": {"loss_type": "exo_pair"}}, "dpo.label_smoothing"),
        ({"method": "orpo", "long_rows": "split"}, "long_rows"),
        ({"method": "kto", "per_device_train_batch_size": 1}, "per_device_train_batch_size"),
        ({"method": "kto", "packing": True}, "packing"),
        ({"method": "reward"}, "long_rows"),
        ({**REWARD, "tuning": "full"}, "tuning"),
        ({**REWARD, "evaluation_dataset": "d"}, "evaluation_dataset"),
        ({**REWARD, "gate": "exact match >= 0.8"}, "gate"),
        ({**REWARD, "lora": {"modules_to_save": ["embed_tokens"]}}, "lora.modules_to_save"),
        ({"method": "dop"}, "method"),
        ({"dpo": {"betta": 1}}, "dpo.betta"),
    ],
)
def test_settings_that_a_method_cannot_use_are_named(changes: dict[str, object], field: str) -> None:
    assert [problem.params["field"] for problem in config_problems({"dataset": "d", **changes})] == [field]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"load_in_4bit": True}, "load_in_4bit"),
        ({"load_in_8bit": True}, "load_in_8bit"),
        ({"fp16": True, "bf16": False}, "fp16"),
        ({"adapter_name_or_path": "20260101-120000-abcd"}, "adapter_name_or_path"),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_full_fine_tuning_cannot_use_is_named_with_a_way_out(
    changes: dict[str, object], field: str, language: str
) -> None:
    assert not config_problems({"dataset": "d", **changes})
    [problem] = config_problems({"dataset": "d", "tuning": "full", **changes})
    assert problem.params["field"] == field
    assert "{" not in sentence(problem, language)


@pytest.mark.parametrize("other", [{"fp16": True, "bf16": False}, {"adapter_name_or_path": "20260101-120000-abcd"}])
def test_layers_trained_as_a_whole_exclude_what_they_cannot_go_with(other: dict[str, object]) -> None:
    lora = {"modules_to_save": ["embed_tokens"]}
    assert not config_problems({"dataset": "d", "lora": lora})
    [problem] = config_problems({"dataset": "d", "lora": lora, **other})
    assert {problem.params["field"], problem.params["other"]} == {"lora.modules_to_save", next(iter(other))}


def test_usual_rates_are_lower_for_all_weights() -> None:
    lora, full = (learning_rates(FineTuneConfig(tuning=tuning)) for tuning in ("lora", "full"))  # type: ignore[arg-type]
    assert full[1] < lora[1]
    assert full == (2e-6, 1e-4)


def test_pre_training_always_packs() -> None:
    config = FineTuneConfig(method="pretrain", per_device_train_batch_size=2, max_length=128)
    assert token_budget(config) == 256
    assert token_budget(config.model_copy(update={"max_tokens_per_batch": 512})) == 512
    assert token_budget(config.model_copy(update={"method": "sft"})) == 0


def test_settings_of_other_methods_do_not_matter() -> None:
    unused = {"method": "sft", "long_rows": "split", "per_device_train_batch_size": 1, "dpo": {"loss_type": "exo_pair"}}
    assert not config_problems({"dataset": "d", **unused})


@pytest.mark.parametrize(
    ("kind", "other", "changes"),
    [
        ("pissa", "load_in_4bit", {"load_in_4bit": True}),
        ("pissa", "load_in_8bit", {"load_in_8bit": True}),
        ("pissa", "adapter_name_or_path", {"adapter_name_or_path": "20260101-120000-abcd"}),
        ("eva", "adapter_name_or_path", {"adapter_name_or_path": "20260101-120000-abcd"}),
        ("pissa", "lora.use_dora", {"use_dora": True}),
        ("pissa", "lora.modules_to_save", {"modules_to_save": ["embed_tokens"]}),
        ("pissa", "lora.autocast_adapter_dtype", {"autocast_adapter_dtype": False}),
        ("eva", "lora.rank_pattern", {"rank_pattern": {"q_proj": 8}}),
    ],
)
def test_first_weights_from_the_model_or_the_data_exclude_what_they_cannot_go_with(
    kind: str, other: str, changes: dict[str, object]
) -> None:
    inner, outer = (
        {name: value for name, value in changes.items() if (f"lora.{name}" == other) is within}
        for within in (True, False)
    )
    config = {"dataset": "d", **outer, "lora": {"init_lora_weights": kind, **inner}}
    [problem] = config_problems(config)
    assert (problem.params["field"], problem.params["other"]) == ("lora.init_lora_weights", other)
    assert not config_problems({**config, "lora": inner})
    assert not config_problems({"dataset": "d", "lora": {"init_lora_weights": kind}})
