import pytest

from interfaces.config import FineTuneConfig, fields
from interfaces.presets import PRESETS
from interfaces.problems import Code
from interfaces.texts import texts
from interfaces.validation import config_problems
from studio.pages.form import HIDDEN, NO_EFFECT, controls, from_widgets, step_of, unused, widget_values, without_effect


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_setting_has_a_widget_with_name_and_help(language: str) -> None:
    made = {control.name: control for control in controls(language)}
    assert set(made) == {name for name, _ in fields()} - HIDDEN
    for name, control in made.items():
        assert control.label == texts("label", language)[name]
        assert control.help.endswith(f"· {name}")
        assert len(control.help) > 5 + len(name)
    assert [name for name, control in made.items() if control.basic] == [
        "method", "tuning", "max_length", "lora.r", "dpo.beta", "orpo.beta", "kto.beta", "num_train_epochs",
        "per_device_train_batch_size", "learning_rate",
    ]  # fmt: skip
    assert "16 - 131072" in made["max_length"].help


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_goes_into_the_form_and_comes_out_the_same(name: str) -> None:
    config = PRESETS[name]().model_copy(update={"dataset": "rows.jsonl", "sample_prompts": ["a", "你好"]})
    config.lora.rank_pattern = {"q_proj": 8, "down_proj": 64}
    back = from_widgets(widget_values(config))
    assert FineTuneConfig.model_validate({**back, "model_name": config.model_name, "dataset": "rows.jsonl"}) == config


def test_absent_field_gets_default_and_emptied_number_is_reported() -> None:
    assert from_widgets({})["max_length"] == 1024
    problems = config_problems({**from_widgets({"max_length": None, "lora.r": ""}), "dataset": "x"})
    assert {(problem.code, problem.params["field"]) for problem in problems} == {
        (Code.VALUE_MISSING, "max_length"),
        (Code.VALUE_MISSING, "lora.r"),
    }
    problems = config_problems({**from_widgets({"max_length": 3, "lora.r": 0}), "dataset": "x"})
    assert {problem.params["field"] for problem in problems} == {"max_length", "lora.r"}


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("learning_rate", 1e-4),
        ("lora.r", 1),
        ("validation_split", 0.01),
        ("lora.lora_dropout", 0.01),
        ("num_train_epochs", 1),
    ],
)
def test_arrow_keys_change_a_number_by_a_sensible_step(name: str, step: float) -> None:
    [control] = [control for control in controls("en") if control.name == name]
    assert step_of(control) == step


def test_settings_of_other_methods_and_tunings_are_not_used() -> None:
    usual = from_widgets({})
    assert "dpo.beta" in unused(usual)
    assert "master_weights" in unused(usual)
    assert not any(name.startswith("lora.") for name in unused(usual))
    full = unused({**usual, "method": "dpo", "tuning": "full"})
    assert "lora.r" in full
    assert not {"dpo.beta", "master_weights"} & set(full)
    quantized = unused({**usual, "tuning": "full", "load_in_4bit": True})
    assert ("load_in_8bit" in quantized, "load_in_4bit" in quantized) == (True, False), "what is refused is shown"


def test_settings_without_effect_depend_on_others() -> None:
    assert set(NO_EFFECT) <= {name for name, _ in fields()}
    usual = from_widgets({})
    assert without_effect(usual) == ["sample_while_training", "sample_max_new_tokens", "max_tokens_per_batch"]
    other = {**usual, "sample_prompts": ["Hi"], "packing": True, "max_steps": 5, "validation_dataset": "rows"}
    assert without_effect(other) == ["validation_split", "num_train_epochs"]
    assert "warmup_steps" in without_effect({**usual, "lr_scheduler_type": "constant"})
    assert "num_train_epochs" not in without_effect({**usual, "max_steps": None})
    asking = {**usual, "sample_prompts": ["Who are you?"]}
    assert "sample_prompts" not in without_effect(asking)
    assert {"sample_prompts", "sample_max_new_tokens"} <= set(without_effect({**asking, "method": "reward"}))
