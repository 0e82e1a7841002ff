import pytest
from pydantic import ValidationError

from interfaces.config import (
    FineTuneConfig,
    LoraSettings,
    fields,
    token_budget,
)
from interfaces.problems import Code
from interfaces.texts import sentence
from interfaces.validation import config_errors, config_problems

GROUPS = {"method", "model", "data", "lora", "training", "memory", "saving"}


def test_every_setting_has_help_and_group() -> None:
    settings = dict(fields())
    assert len(settings) >= 40
    for name, field in settings.items():
        extra = field.json_schema_extra
        assert isinstance(extra, dict), name
        assert field.description, name
        assert field.description.endswith("."), name
        assert extra["group"] in GROUPS, name


def test_defaults_have_no_problem_but_the_missing_dataset() -> None:
    assert [problem.params["field"] for problem in config_problems({})] == ["dataset"]
    assert config_problems({"dataset": "rows.jsonl"}) == []


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("learning_rat", "learning_rate"), ("epochs", "num_train_epochs"), ("batch_size", "per_device_train_batch_size")],
)
def test_unknown_key_is_named_with_the_nearest_right_one(wrong: str, meant: str) -> None:
    [problem] = config_problems({"dataset": "x", wrong: 1})
    assert (problem.code, problem.params["field"]) == (Code.UNKNOWN_KEY, wrong)
    assert problem.params["suggestion"] == meant


def test_unknown_key_inside_lora_is_found_too() -> None:
    [problem] = config_problems({"dataset": "x", "lora": {"alpha": 1}})
    assert (problem.params["field"], problem.params["suggestion"]) == ("lora.alpha", "lora.lora_alpha")


def test_all_errors_are_reported_together() -> None:
    problems = config_problems({"dataset": "x", "max_length": 3, "lora": {"r": 0}, "seed": "a", "nonsense_here": 1})
    assert {problem.params["field"] for problem in problems} == {"max_length", "lora.r", "seed", "nonsense_here"}


def test_union_is_reported_once() -> None:
    [problem] = config_problems({"dataset": "x", "bf16": "perhaps"})
    assert problem.params["value"] == "'perhaps'"
    assert "should be true or false, or should be 'auto'" in sentence(problem)


def test_each_assignment_is_checked() -> None:
    config = FineTuneConfig()
    config.max_length = 2048
    with pytest.raises(ValidationError):
        config.max_length = 3
    assert config.max_length == 2048
    with pytest.raises(ValidationError):
        config.lora.r = 0
    with pytest.raises(ValidationError):
        config.no_such_setting = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "clash",
    [
        {"load_in_8bit": True, "load_in_4bit": True},
        {"bf16": True, "fp16": True},
        {"early_stopping_patience": 2, "eval_steps": 0},
    ],
)
def test_conflicting_settings_are_problems_but_can_be_assigned(clash: dict[str, object]) -> None:
    config = FineTuneConfig(dataset="x")
    for name, value in clash.items():
        setattr(config, name, value)
    assert len(config_problems(config.model_dump())) == 1


def test_yaml_style_numbers_are_understood() -> None:
    assert FineTuneConfig.model_validate({"learning_rate": "1e-3"}).learning_rate == 1e-3


def test_steps_are_integers_or_fractions() -> None:
    assert FineTuneConfig(eval_steps=0.25).eval_steps == 0.25
    assert FineTuneConfig(eval_steps=10).eval_steps == 10
    assert [problem.params["field"] for problem in config_problems({"dataset": "x", "eval_steps": 1.5})] == [
        "eval_steps"
    ]


def test_target_modules_may_be_written_as_one_line() -> None:
    assert LoraSettings(target_modules="q_proj, v_proj").target_modules == ["q_proj", "v_proj"]
    assert LoraSettings(target_modules="all-linear").target_modules == "all-linear"


def test_config_survives_a_round_trip() -> None:
    config = FineTuneConfig(dataset="x", lora=LoraSettings(r=4), sample_prompts=["你好"])
    assert FineTuneConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("field", ["warmup_steps", "eval_steps", "learning_rate", "save_minutes"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_no_setting_is_infinite(field: str, value: float) -> None:
    assert [problem.params["field"] for problem in config_problems({"dataset": "x", field: value})] == [field]


@pytest.mark.parametrize(
    "change", [{"model_name": ""}, {"name": "x" * 300}, {"lora": {"target_modules": ","}}, {"dataset": "\ud800"}]
)
def test_error_sentence_states_the_expected_value(change: dict[str, object]) -> None:
    [problem] = config_problems({"dataset": "x", **change})
    assert " but it should " in sentence(problem)
    assert "应" in sentence(problem, "zh")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"packing": True, "max_length": 512, "max_tokens_per_batch": 511}, "max_tokens_per_batch"),
        ({"fp16": True, "bf16": False, "lora": {"autocast_adapter_dtype": False}}, "lora.autocast_adapter_dtype"),
    ],
)
def test_conflicting_settings_are_named(change: dict[str, object], field: str) -> None:
    [problem] = config_problems({"dataset": "x", **change})
    assert problem.params["field"] == field


def test_token_budget_applies_only_with_packing() -> None:
    config = FineTuneConfig(dataset="x", max_length=100, per_device_train_batch_size=4)
    assert token_budget(config) == 0
    assert token_budget(config.model_copy(update={"packing": True})) == 400
    assert token_budget(config.model_copy(update={"packing": True, "max_tokens_per_batch": 150})) == 150


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("cutoff_len", "max_length"), ("sequence_len", "max_length"), ("model_name_or_path", "model_name"), ("lora_r", "lora.r"),
     ("micro_batch_size", "per_device_train_batch_size"), ("warmup_ratio", "warmup_steps"), ("resume_from_checkpoint", "")],
)  # fmt: skip
def test_other_trainers_setting_names_are_known(theirs: str, ours: str) -> None:
    (problem,) = config_problems({"dataset": "x", theirs: 1})
    assert (problem.code, problem.params["suggestion"]) == (Code.UNKNOWN_KEY, ours)


def test_dataset_list_is_a_mix_with_equal_weights() -> None:
    assert FineTuneConfig(dataset=["a.jsonl", "b.jsonl"]).dataset == {"a.jsonl": 1.0, "b.jsonl": 1.0}
    assert FineTuneConfig(dataset=["a.jsonl"]).dataset == "a.jsonl"
    assert config_errors({"dataset": []})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"learning_rate": True}, "should be a number, not true or false"),
        ({"num_train_epochs": True}, "should be a number, not true or false"),
        ({"max_steps": 0}, "at least 1, or -1"),
    ],
)
def test_booleans_and_zero_are_no_step_counts_or_rates(values: dict[str, object], says: str) -> None:
    (problem,) = config_errors({"dataset": "x", **values})
    assert says in sentence(problem)


def test_each_reason_is_reported_once() -> None:
    (problem,) = config_errors({"dataset": "x", "sample_prompts": [False, True, 42]})
    assert sentence(problem).count("should be text") == 1
