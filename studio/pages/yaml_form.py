"""The form as YAML: the whole config beside the form, and the way back from an edited text."""

from __future__ import annotations

import pprint
from dataclasses import dataclass

from interfaces.device import Device
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Problem
from interfaces.run_config import Settings, to_yaml
from interfaces.texts import Texts, sentence
from interfaces.validation import config_errors
from studio.config_file import line_of, parse_config, with_preset
from studio.datasets.library import find_dataset
from studio.pages.form import unused_parts

PROGRAM = """from pathlib import Path

from interfaces.folders import Home
from studio.datasets.library import with_datasets
from studio.finetune_manager import FinetuneManager
from studio.runs.supervised_trainer import SupervisedTrainer

config = {config}

home = Home(Path({home!r}))
manager = FinetuneManager(SupervisedTrainer(), home)
print(manager.start_training(manager.create_task(with_datasets(home, config))))  # waits until the run has ended
"""
NAME = "YAML"
"""What errors call the text."""


@dataclass(frozen=True)
class YamlRead:
    """A config that was read from a text, or None with `said` naming its problems by line."""

    config: Settings | None
    said: list[str]


def yaml_of(config: Settings) -> str:
    """Return a form's config as YAML, without what says nothing about the run."""
    return to_yaml(_filled_in(config))


def python_of(config: Settings, home: Home) -> str:
    """Return a program that starts a form's run, with the same names as in the config."""
    program = pprint.pformat(_filled_in(config), sort_dicts=False, width=100)
    return PROGRAM.format(home=str(home.path), config=program)


def _filled_in(config: Settings) -> Settings:
    """Leave out what is empty by default, and the settings that aren't used."""
    left_out = {"schema_version", *unused_parts(config)}
    return {name: value for name, value in config.items() if value not in ("", [], {}) and name not in left_out}


def read_yaml(
    home: Home, text: str, current: Settings, preset: str, device: Device, words: Texts, language: str
) -> YamlRead:
    """Read an edited text. Settings that it omits come from the preset, as in the terminal.

    A page may refer only to datasets of the library: with any other, or none, the form keeps the one of `current`.
    """
    try:
        values = parse_config(text, NAME)
    except FineTuneError as error:
        return YamlRead(None, [sentence(problem, language) for problem in error.problems])
    config, _ = with_preset(values, device, preset)
    said = []
    for field in ("dataset", "validation_dataset"):
        try:
            config[field] = find_dataset(home, str(values[field])).id if values.get(field) else current.get(field) or ""
        except FineTuneError:
            said.append(words.of("yaml_dataset_kept", field=field, value=str(values[field])))
            config[field] = current.get(field) or ""
    errors = [problem for problem in config_errors(config) if problem.params.get("field") != "dataset"]
    if errors:
        return YamlRead(None, [_at_line(problem, text, words, language) for problem in errors])
    return YamlRead(config, said)


def _at_line(problem: Problem, text: str, words: Texts, language: str) -> str:
    line = line_of(text, str(problem.params.get("field", "")))
    said = sentence(problem, language)
    return words.of("yaml_line", line=line, problem=said) if line else said
