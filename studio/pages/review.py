"""What the form of New fine-tune describes: the run that Start would launch, or what prevents it, field by field."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

from interfaces.config import FineTuneConfig, learning_rates, token_budget
from interfaces.disk import require_space
from interfaces.dotted_names import flat
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Changes, Code, Problem
from interfaces.run_config import Settings
from interfaces.texts import Texts, sentence
from interfaces.validation import config_errors, config_problems
from studio.datasets.library import dataset_name, describe
from studio.finetune_manager import SPACE_BYTES
from studio.models.facts import model_facts
from studio.pages.form import HIDDEN, unused, without_effect
from studio.pages.yaml_form import python_of, yaml_of


@dataclass(frozen=True)
class Review:
    """The text beside the Start button, in Markdown. `fields` has the problem of each invalid setting.

    `cure` are settings that suit the chosen data or method.
    """

    text: str
    ready: bool
    fields: dict[str, str]
    cure: Changes = field(default_factory=dict)


def review(home: Home, config: Settings, words: Texts, language: str) -> Review:
    """Describe what is missing or invalid, or what the run will do. Doesn't ask the Hub."""
    errors = config_errors(config)
    if errors:
        named = [(str(problem.params.get("field", "")), problem) for problem in errors]
        lines = [_missing_or(problem, name, words, language) for name, problem in named]
        fields = {name: sentence(problem, language) for name, problem in named if name and name != "dataset"}
        cure = {name: value for problem in errors for name, value in (problem.change or {}).items()}
        return Review(_listed(lines), False, fields, cure)
    checked = FineTuneConfig.model_validate(config)
    data, cure = _data_lines(home, checked, words, language)
    lines = [*_model_lines(home, checked, language), *data, *_disk_lines(home, language)]
    if lines:
        return Review(_listed(lines), False, {}, cure)
    warnings = [sentence(problem, language) for problem in config_problems(config)] + _unusual(checked, words)
    cure = _usual_rate(checked) if checked.method != "sft" else {}  # a preset's rate is for fine-tuning
    return Review(f"{_plan(home, checked, words)}\n\n{_listed(warnings)}".strip(), True, {}, cure)


def changed_from(preset: FineTuneConfig, config: Settings) -> Settings:
    """Return the preset's values of the settings that differ in a form's config, by their dotted names."""
    theirs, ours = flat(preset.model_dump()), flat(config)
    return {
        name: theirs[name] for name in theirs if name not in OF_THE_RUN and name in ours and ours[name] != theirs[name]
    }


OF_THE_RUN = HIDDEN | {"name", "adapter_name_or_path", "sample_prompts", "validation_dataset"}
"""Settings that say what is trained, not how: no preset has an opinion."""


def form_facts(home: Home, config: Settings, found: Review, changed: Settings) -> str:
    """Return what our scripts need: the settings, their problems, and the preset's values where they differ."""
    facts = {
        "config": config, "model": config["model_name"], "max_length": config["max_length"],
        "batch": config["per_device_train_batch_size"], "accumulation": config["gradient_accumulation_steps"],
        "budget": 0 if config_errors(config) else token_budget(FineTuneConfig.model_validate(config)),
        "bad_rows": config["bad_rows"], "long_rows": config["long_rows"], "seed": config["seed"],
        "validation_split": config["validation_split"], "validation_dataset": config["validation_dataset"], "problems": found.fields, "cure": found.cure, "usual": usual_rates(config), "unused": unused(config), "changed": changed, "idle": without_effect(config), "yaml": yaml_of(config), "python": python_of(config, home),
    }  # fmt: skip
    return json.dumps(facts)


def usual_rates(config: Settings) -> tuple[float, float]:
    """Return the usual learning rates of a form's method and tuning."""
    known = {name: config[name] for name in ("method", "tuning")}
    return learning_rates(FineTuneConfig.model_validate(known))


def escaped(text: str) -> str:
    """Escape plain text for a Markdown component: user-defined names may contain anything."""
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>#|!~$&" else character for character in text)


def _listed(lines: list[str]) -> str:
    return "\n".join(f"- {escaped(line)}" for line in lines)


def _missing_or(problem: Problem, field: str, words: Texts, language: str) -> str:
    return words["missing_data"] if field == "dataset" else sentence(problem, language)


def _model_lines(home: Home, config: FineTuneConfig, language: str) -> list[str]:
    """Return why the model can't be trained, as far as it is known without the Hub."""
    try:
        model_facts(home, config.model_name, config.model_revision)
    except FineTuneError as error:
        if error.problems[0].code == Code.MODEL_NOT_KNOWN and config.model_name.count("/") == 1:
            return []  # the Hub may have it: Start asks
        return [sentence(problem, language) for problem in error.problems]
    except OSError as error:
        unreadable = Problem.error(Code.FILE_UNREADABLE, path=config.model_name, reason=error.strerror or str(error))
        return [sentence(unreadable, language)]
    return []


def _disk_lines(home: Home, language: str) -> list[str]:
    """Return that the disk is too full to begin a run, as Start would say."""
    try:
        require_space(home.path, SPACE_BYTES)
    except FineTuneError as error:
        return [sentence(problem, language) for problem in error.problems]
    return []


def _data_lines(home: Home, config: FineTuneConfig, words: Texts, language: str) -> tuple[list[str], Changes]:
    """Return the problems of the chosen dataset that block a start, and the settings that would cure them."""
    try:
        report = describe(home, str(config.dataset))
    except FineTuneError as error:
        return [sentence(problem, language) for problem in error.problems], {}
    refused, unfit = report.blocking(config.bad_rows), report.unfit_for(config.method, config.bad_rows)
    lines = [sentence(unfit, language)] if unfit else []
    cure = unfit.change or {} if unfit else {}
    if refused is None:
        return lines, cure
    counts = {"count": refused.params["count"], "rows": refused.params["rows"]}
    return [words.of("rows_to_fix", name=report.name, **counts), *lines], cure


def _unusual(config: FineTuneConfig, words: Texts) -> list[str]:
    """Return a remark on a learning rate that is valid but probably a mistake, such as one for full fine-tuning."""
    if not _usual_rate(config):
        return []
    least, most = learning_rates(config)
    named = {
        "method": config.method,
        "tuning": words[f"tuning_{config.tuning}"],
        "least": f"{least:g}",
        "most": f"{most:g}",
    }
    return [words.of("rate_unusual", rate=f"{config.learning_rate:g}", **named)]


def _usual_rate(config: FineTuneConfig) -> Changes:
    """Return the middle of the method's usual learning rates, if the config's is outside; else nothing."""
    least, most = learning_rates(config)
    return {} if least <= config.learning_rate <= most else {"learning_rate": float(f"{math.sqrt(least * most):.0e}")}


def _plan(home: Home, config: FineTuneConfig, words: Texts) -> str:
    budget, turns = token_budget(config), config.gradient_accumulation_steps
    ready = words.of(
        "ready_packed" if budget else "ready",
        model=config.model_name, method=f"{config.method}, {words[f'tuning_{config.tuning}']}", data=dataset_name(home, str(config.dataset)), epochs=f"{config.num_train_epochs:g}",
        batch=config.per_device_train_batch_size * turns, tokens=budget * turns,
    )  # fmt: skip
    adapter = config.adapter_name_or_path
    return escaped(ready + (words.of("ready_further", adapter=adapter) if adapter else ""))
