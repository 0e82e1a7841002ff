"""The form as YAML and back."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from interfaces.config import FineTuneConfig
from interfaces.device import Device
from interfaces.folders import Home
from interfaces.presets import PRESETS
from interfaces.texts import LANGUAGES, texts
from studio.datasets.library import ensure_dataset
from studio.pages.form import widget_values
from studio.pages.train import config_of
from studio.pages.yaml_form import YamlRead, python_of, read_yaml, yaml_of
from tests.support.fakes import FakeFineTuneService

CPU = Device("cpu", "a processor", 1 << 34, 1 << 34)
PRESET = "laptop_cpu"


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def of_form(language: str = "en", **values: Any) -> dict[str, Any]:
    widgets = widget_values(PRESETS[PRESET](), language)
    return config_of(
        {"model": "starter", **{key.replace(".", "__"): value for key, value in widgets.items()}, **values}, language
    )


def read(home: Home, text: str, language: str = "en", **values: Any) -> YamlRead:
    return read_yaml(home, text, of_form(language, **values), PRESET, CPU, texts("page", language), language)


def test_form_survives_the_way_to_yaml_and_back(home: Home, language: str, rows_file: Path) -> None:
    dataset = ensure_dataset(home, str(rows_file))
    config = of_form(
        language, dataset=dataset, learning_rate=3e-4, lora__r=32, sample_prompts="What?\n为什么？", name="a #1: b"
    )
    found = read(home, yaml_of(config), language)
    assert found.said == []
    assert found.config is not None
    assert FineTuneConfig.model_validate(found.config) == FineTuneConfig.model_validate(config)


def test_omitted_settings_come_from_the_preset(home: Home) -> None:
    found = read(home, "learning_rate: 1e-4\nlora: {r: 64}\n")
    assert found.config is not None
    config, preset = FineTuneConfig.model_validate({**found.config, "dataset": "x"}), PRESETS[PRESET]()
    assert (config.learning_rate, config.lora.r) == (1e-4, 64)
    assert (config.max_length, config.lora.lora_alpha) == (preset.max_length, preset.lora.lora_alpha)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("num_train_epochs: 3\nlearning_rate: fast\n", 2),
        ("lora:\n  r: 16\n  lora_alpha: -1\n", 3),
        ("lora: {r: 16, lora_dropout: 7}\n", 1),
        ("a: 1\nbatch: 2\n", 2),
        ("learning_rate: 1\n  lora: {\n", 2),
        ("max_length: 8\nmax_length: 9\n", 2),
    ],
)
def test_problems_are_named_with_their_line(home: Home, language: str, text: str, line: int) -> None:
    found = read(home, text, language)
    assert found.config is None
    assert any(str(line) in said and ("line" in said.lower() or "行" in said) for said in found.said), found.said


@pytest.mark.parametrize("text", ["", "just text", "- a\n- b\n"])
def test_what_is_no_mapping_is_refused(home: Home, text: str) -> None:
    found = read(home, text)
    assert found.config is None
    assert len(found.said) == 1


def test_dataset_outside_the_library_is_not_taken(home: Home, rows_file: Path) -> None:
    dataset = ensure_dataset(home, str(rows_file))
    found = read(home, f"dataset: {rows_file}\nmax_length: 64\n", dataset=dataset)
    assert found.config is not None
    assert found.config["dataset"] == dataset
    assert str(rows_file) in found.said[0]


def test_dataset_is_taken_by_its_name_and_kept_if_none_is_named(home: Home, rows_file: Path) -> None:
    dataset = ensure_dataset(home, str(rows_file))
    by_name = read(home, f"dataset: {rows_file.name}\n")
    assert by_name.config is not None
    assert by_name.config["dataset"] == dataset
    unnamed = read(home, "max_length: 64\n", dataset=dataset)
    assert unnamed.config is not None
    assert unnamed.config["dataset"] == dataset


def test_what_is_empty_is_left_out() -> None:
    shown = yaml.safe_load(yaml_of(of_form()))
    assert "name" not in shown
    assert "schema_version" not in shown
    assert shown["lora"]["r"] == PRESETS[PRESET]().lora.r


def test_only_the_chosen_methods_settings_are_written() -> None:
    written = yaml.safe_load(yaml_of(of_form(method="dpo", dpo__beta=0.2)))
    assert written["dpo"]["beta"] == 0.2
    assert not {"sft", "orpo", "kto"} & written.keys()


def test_python_program_starts_the_forms_run(home: Home, rows_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeFineTuneService()
    monkeypatch.setattr("studio.runs.supervised_trainer.SupervisedTrainer", lambda: service)
    config = of_form(dataset=ensure_dataset(home, str(rows_file)), learning_rate=0.00042)
    exec(compile(python_of(config, home), "program", "exec"), {})
    [trained] = service.trained
    assert {name: trained[name] for name in ("dataset", "learning_rate", "lora")} == {
        name: FineTuneConfig.model_validate(config).model_dump()[name] for name in ("dataset", "learning_rate", "lora")
    }
