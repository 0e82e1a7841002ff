"""The Train page: choose a model, upload and inspect data, choose settings, and start."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import gradio as gr

from interfaces.config import STARTER, FineTuneConfig, config_problems, token_budget
from interfaces.data_files import SUFFIXES
from interfaces.device import Device
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.presets import PRESETS, PresetConfigs
from interfaces.run_config import Settings
from interfaces.texts import Texts, sentence, size, texts
from studio.datasets.library import MOST_BYTES, dataset_name, describe, find_dataset, with_datasets
from studio.datasets.sample import SAMPLE, questions
from studio.finetune_manager import FinetuneManager
from studio.models.catalog import CATALOG, local_path, parameters
from studio.pages.form import from_widgets, widget_values
from studio.pages.live import live_part
from studio.pages.settings_form import data_form, settings_form
from studio.sizing.estimate import with_changes


def build_train_page(manager: FinetuneManager, device: Device, words: Texts, language: str, secret: str) -> None:
    """Build the page from top to bottom."""
    preset = PresetConfigs.name_for_device(device)
    start = PRESETS[preset]()
    live_part("rescue", language, "train-rescue")
    gr.Markdown(f"# {words['train_heading']}")
    model = gr.Radio(
        model_choices(manager.home, words, language), value=start.model_name, label=words["model"],
        info=words["model_help"], elem_id="train-model", elem_classes="fs-cards",
    )  # fmt: skip
    own_model = gr.Textbox(label=words["own_model"], info=words["own_model_help"], elem_id="train-own-model")
    live_part("hub", language, "train-hub")
    gr.Markdown(f"## {words['data']}")
    data = live_part("dataset", language, "train-data", most_bytes=MOST_BYTES, suffixes=SUFFIXES)
    reported = live_part("config", language, "train-config", value=form_facts(start.model_dump(exclude={"output_dir"})))
    beside = data_form(language, widget_values(start, language))
    gr.Markdown(f"## {words['settings']}")
    preset_box = gr.Dropdown(
        preset_choices(), value=preset, label=words["preset"], info=words["preset_help"], elem_id="train-preset"
    )
    widgets = beside | settings_form(words, language, widget_values(start, language))
    fit = live_part("fit", language, "train-fit")
    gr.Markdown(f"## {words['review']}")
    review = gr.Markdown(words["missing_data"], elem_id="train-review")
    start_button = gr.Button(words["start"], variant="primary", elem_id="train-start", size="lg")
    live_part("warm_trainer", language, "train-warm-trainer")
    run_id = gr.Textbox(visible=False)
    source = gr.Textbox(visible=False)
    form = {
        "model": model,
        "own_model": own_model,
        "dataset": data,
        **{_argument(name): widget for name, widget in widgets.items()},
    }
    kept = gr.BrowserState({}, storage_key="finetune-form", secret=secret)

    def on_change(**values: Any) -> tuple[str, Settings, str]:
        config = config_of(values, language)
        return review_text(manager.home, config, words, language), values, form_facts(config)

    def on_preset(name: str) -> dict[Any, Any]:
        config = PRESETS[name]()
        chosen = {widgets[control]: value for control, value in widget_values(config, language).items()}
        return {model: config.model_name if config.model_name in PRESET_MODELS else gr.skip(), **chosen}

    def on_fit(reported: str) -> dict[Any, Any]:
        """Apply settings that the page's script asks for: to make a run fit, or to undo that."""
        changes = {name: value for name, value in json.loads(reported or "{}").items() if name in widgets}
        config = FineTuneConfig.model_validate({})
        shown = widget_values(with_changes(config, changes), language)
        return {widgets[name]: shown[name] for name in changes} or {run_id: gr.skip()}

    def on_start(**values: Any) -> tuple[str, str]:
        config = config_of(values, language)
        text, ready = review_text(manager.home, config, words, language), not config_problems(config)
        if not ready:
            return text, ""
        try:
            # A page may refer only to datasets of the library, never to file paths.
            for key in ("dataset", "validation_dataset"):
                config[key] = config[key] and find_dataset(manager.home, str(config[key])).id
            task = manager.launch_new(with_datasets(manager.home, with_held_out_questions(manager.home, config)))
        except FineTuneError as error:
            return "\n\n".join(escaped(sentence(problem, language)) for problem in error.problems), ""
        return words["starting"], task

    def on_load(values: Settings | None, from_run: str) -> list[Any]:
        # Don't restore the adapter to start from: it must be chosen for each run.
        shown = {**(values or {}), _argument("adapter_name_or_path"): ""}
        if from_run:
            with contextlib.suppress(FineTuneError):  # the run is gone: keep the form as it is
                shown = form_values(manager.config_for_rerun(from_run, continue_training=True), language)
        return [shown.get(name, gr.skip()) for name in form]

    # Without Gradio's queue: its event stream would hold a connection per tab and break when the user leaves.
    plain: Any = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    changes = [component.change for component in form.values()]
    gr.on(changes, on_change, inputs_kwargs=form, outputs=[review, kept, reported], trigger_mode="always_last", **plain)
    # `input` also fires when the box loses focus, which would undo the user's changes.
    preset_box.select(on_preset, preset_box, [model, *widgets.values()], **plain)
    fit.change(on_fit, fit, [run_id, *widgets.values()], **plain)
    to_run = "(id) => { if (id) window.location.href = 'run?run=' + encodeURIComponent(id) }"
    started = start_button.click(on_start, inputs_kwargs=form, outputs=[review, run_id], trigger_mode="once", **plain)
    started.then(None, run_id, None, js=to_run)
    block = gr.context.Context.root_block
    if block is not None:
        # `?from=RUN`: a new run that starts from that run's adapter.
        from_address = "(kept) => [kept, new URLSearchParams(window.location.search).get('from') || '']"
        block.load(on_load, [kept, source], list(form.values()), js=from_address, **plain)


QUESTIONS_ASKED = 3
PRESET_MODELS = {entry.id for entry in CATALOG}


def _argument(name: str) -> str:
    """A setting's name as a keyword: 'lora.r' can't be one."""
    return name.replace(".", "__")


def preset_choices() -> list[tuple[str, str]]:
    """(name with its numbers, name) for each preset."""
    return [(f"{name} · {numbers_of(make())}", name) for name, make in PRESETS.items()]


def numbers_of(config: FineTuneConfig) -> str:
    bits = "4-bit" if config.load_in_4bit else "8-bit" if config.load_in_8bit else "16-bit"
    batch = f"{config.per_device_train_batch_size} x {config.gradient_accumulation_steps}"
    return f"{bits}, max_length {config.max_length}, {batch}, r {config.lora.r}"


def model_choices(home: Home, words: Texts, language: str) -> list[tuple[str, str]]:
    """Return (card, id) for each model. Our script adds whether it fits, as settings change."""
    cards = []
    for entry in CATALOG:
        name = "SmolLM2-135M-Instruct" if entry.id == STARTER else entry.id.rsplit("/", 1)[-1]
        where = words["here"] if local_path(entry, home) else words.of("download", size=size(entry.download_bytes))
        lines = (
            f"{name} · {words['tier_' + entry.tier]}",
            texts("model", language)[entry.id],
            f"{parameters(entry.shape.parameters)} · {words.of('context', tokens=f'{entry.context:,}')} · {entry.license}{words['gated'] if entry.gated else ''} · {where}",
        )
        cards.append(("\n".join(lines), entry.id))
    return cards


def form_values(config: Settings, language: str) -> Settings:
    """Convert a config to form values; the inverse of `config_of`."""
    checked = FineTuneConfig.model_validate(config)
    own = "" if checked.model_name in PRESET_MODELS else checked.model_name
    dataset = checked.dataset if isinstance(checked.dataset, str) else ""
    settings = {_argument(name): value for name, value in widget_values(checked, language).items()}
    return {**settings, "model": checked.model_name if not own else gr.skip(), "own_model": own, "dataset": dataset}


def config_of(values: Settings, language: str) -> Settings:
    """Convert form values to a config, not validated."""
    settings = {name.replace("__", "."): value for name, value in values.items()}
    own = str(settings.get("own_model") or "").strip()
    model = own or settings.get("model") or STARTER
    return {**from_widgets(settings, language), "model_name": model, "dataset": str(settings.get("dataset") or "")}


def form_facts(config: Settings) -> str:
    """Return the settings that affect the data preview, for our script."""
    facts = {
        "config": config, "model": config["model_name"], "max_length": config["max_length"], "batch": config["per_device_train_batch_size"],
        "accumulation": config["gradient_accumulation_steps"], "budget": 0 if config_problems(config) else token_budget(FineTuneConfig.model_validate(config)), "bad_rows": config["bad_rows"], "long_rows": config["long_rows"], "seed": config["seed"],
        "validation_split": config["validation_split"], "validation_dataset": config["validation_dataset"],
    }  # fmt: skip
    return json.dumps(facts)


def with_held_out_questions(home: Home, config: Settings) -> Settings:
    """Add a few of the sample data's held-out questions as sample prompts, unless the user has entered some."""
    if config.get("sample_prompts") or dataset_name(home, str(config["dataset"])) != SAMPLE:
        return config
    return {
        **config,
        "sample_prompts": [row.question for row in questions()[:QUESTIONS_ASKED]],
        "sample_max_new_tokens": 40,
        "sample_while_training": False,  # the user didn't ask for them, so they must not slow down training
    }


def review_text(home: Home, config: Settings, words: Texts, language: str) -> str:
    """Describe what is missing or invalid, or what the run will do."""
    problems = config_problems(config)
    lines = [
        words["missing_data"] if problem.params.get("field") == "dataset" else sentence(problem, language)
        for problem in problems
    ]
    checked = None if problems else FineTuneConfig.model_validate(config)
    if checked is not None:
        lines = data_lines(home, checked, words, language)
    if lines or checked is None:
        return "\n".join(f"- {escaped(line)}" for line in lines)
    budget, turns = token_budget(checked), checked.gradient_accumulation_steps
    ready = words.of(
        "ready_packed" if budget else "ready",
        model=checked.model_name, data=dataset_name(home, str(checked.dataset)), epochs=f"{checked.num_train_epochs:g}",
        batch=checked.per_device_train_batch_size * turns, tokens=budget * turns,
    )  # fmt: skip
    adapter = checked.adapter_name_or_path
    further = words.of("ready_further", adapter=adapter) if adapter else ""
    return escaped(ready + further)


def data_lines(home: Home, config: FineTuneConfig, words: Texts, language: str) -> list[str]:
    """Return the problems of the chosen dataset that block a start."""
    try:
        report = describe(home, str(config.dataset))
    except FineTuneError as error:
        return [sentence(problem, language) for problem in error.problems]
    refused = report.blocking(config.bad_rows)
    if refused is None:
        return []
    counts = {"count": refused.params["count"], "rows": refused.params["rows"]}
    return [words.of("rows_to_fix", name=report.name, **counts)]


def escaped(text: str) -> str:
    """Escape plain text for a Markdown component: user-defined names may contain anything."""
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>#|!~$&" else character for character in text)
