"""The Train page: choose a model, upload and inspect data, choose settings, and start."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from interfaces.config import STARTER, UNKNOWN_DATA, FineTuneConfig
from interfaces.data_files import SUFFIXES
from interfaces.device import Device
from interfaces.dotted_names import with_changes
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.presets import PRESETS, PresetConfigs
from interfaces.run_config import Settings
from interfaces.texts import Texts, sentence
from studio.datasets.library import MOST_BYTES, dataset_name, find_dataset, with_datasets
from studio.datasets.sample import SAMPLE, questions
from studio.finetune_manager import FinetuneManager
from studio.models.facts import model_facts
from studio.pages.form import controls, from_widgets, widget_values
from studio.pages.live import live_part
from studio.pages.review import Review, changed_from, escaped, form_facts, review
from studio.pages.settings_form import basic_form, data_form, method_form, more_form, name_form
from studio.pages.yaml_form import read_yaml
from studio.recipes import recipes_of
from studio.sweeps.plan import sweepable


def build_train_page(manager: FinetuneManager, device: Device, words: Texts, language: str, secret: str) -> None:
    """Build the page from top to bottom."""
    preset = PresetConfigs.name_for_device(device)
    start = PRESETS[preset]()
    live_part("rescue", language, "train-rescue")
    gr.Markdown(f"# {words['train_heading']}")
    notice = gr.Markdown(visible=False, elem_id="train-notice")
    with gr.Row(elem_id="train-page"):
        with gr.Column(elem_id="train-form"):
            gr.Markdown(f"## {words['model']}")
            model = live_part("model", language, "train-model", value=start.model_name)
            gr.Markdown(f"## {words['data']}")
            data = live_part("dataset", language, "train-data", most_bytes=MOST_BYTES, suffixes=SUFFIXES)
            facts = form_facts(manager.home, start.model_dump(exclude={"output_dir"}), Review("", False, {}), {})
            reported = live_part("config", language, "train-config", value=facts)
            beside = data_form(language, widget_values(start, language))
            gr.Markdown(f"## {words['settings']}")
            widgets = method_form(words, language, widget_values(start, language))
            preset_box = gr.Dropdown(
                preset_choices(), value=preset, label=words["preset"], info=words["preset_help"], elem_id="train-preset"
            )
            recipes = live_part("recipes", language, "train-recipes")
            widgets |= beside | basic_form(language, widget_values(start, language))
            reset = live_part("settings", language, "train-settings")
            widgets |= more_form(words, language, widget_values(start, language))
        with gr.Column(elem_id="train-summary"):
            widgets |= name_form(words, language)
            fit = live_part("fit", language, "train-fit")
            described = gr.Markdown(words["missing_data"], elem_id="train-review")
            start_button = gr.Button(
                words["start"], variant="primary", elem_id="train-start", size="lg", interactive=False
            )
            live_part("sweep_form", language, "train-sweep", choices=sweep_choices(language))
            yaml_part = live_part("yaml", language, "train-yaml")
            yaml_said = gr.Markdown(visible=False, elem_id="train-yaml-said")
            live_part("warm_trainer", language, "train-warm-trainer")
    run_id = gr.Textbox(visible=False)
    query = gr.Textbox(visible=False)
    form = {
        "model": model,
        "dataset": data,
        **{_argument(name): widget for name, widget in widgets.items()},
    }
    kept = gr.BrowserState({}, storage_key="finetune-form", secret=secret)

    def on_change(preset_name: str, **values: Any) -> tuple[str, Settings, str, Any]:
        config = config_of(values, language)
        found = review(manager.home, config, words, language)
        facts = form_facts(manager.home, config, found, changed_from(PRESETS[preset_name](), config))
        return found.text, values, facts, gr.Button(interactive=found.ready)

    def on_preset(name: str) -> dict[Any, Any]:
        config = PRESETS[name]()
        chosen = {widgets[control]: value for control, value in widget_values(config, language).items()}
        return {model: config.model_name, **chosen}

    def on_fit(reported: str) -> dict[Any, Any]:
        """Apply settings that the page's script asks for: to make a run fit, or to undo that."""
        changes = {name: value for name, value in json.loads(reported or "{}").items() if name in widgets}
        config = FineTuneConfig.model_validate({})
        shown = widget_values(with_changes(config, changes), language)
        return {widgets[name]: shown[name] for name in changes} or {run_id: gr.skip()}

    def on_yaml(asked: str, preset_name: str, **values: Any) -> list[Any]:
        text = str(json.loads(asked or "{}").get("text", ""))
        found = read_yaml(manager.home, text, config_of(values, language), preset_name, device, words, language)
        said = gr.Markdown("\n".join(f"- {escaped(line)}" for line in found.said), visible=bool(found.said))
        shown = form_values(found.config, language) if found.config is not None else {}
        return [said, *(shown.get(name, gr.skip()) for name in form)]

    def on_start(**values: Any) -> tuple[str, str]:
        config = config_of(values, language)
        found = review(manager.home, config, words, language)
        if not found.ready:
            return found.text, ""
        try:
            model_facts(manager.home, str(config["model_name"]), str(config["model_revision"]), online=True)
            # A page may refer only to datasets of the library, never to file paths.
            for key in ("dataset", "validation_dataset", "evaluation_dataset"):
                config[key] = config[key] and find_dataset(manager.home, str(config[key])).id
            task = manager.launch_new(with_datasets(manager.home, with_held_out_questions(manager.home, config)))
        except FineTuneError as error:
            return "\n\n".join(escaped(sentence(problem, language)) for problem in error.problems), ""
        return words["starting"], task

    def on_load(values: Settings | None, query: str) -> list[Any]:
        # Don't restore the adapter to start from: it must be chosen for each run.
        adapter = _argument("adapter_name_or_path")
        shown = {**(values or new_form(manager.home, preset, language)), adapter: ""}
        asked, refused = dict(parse_qsl(query.lstrip("?"))), ""
        if source := asked.get("from") or asked.get("copy"):
            try:
                config = manager.config_for_rerun(source, continue_training="from" in asked)
                theirs = form_values(config, language)
                imported = config.get("dataset") == UNKNOWN_DATA  # only its model and its adapter are known
                shown = {**shown, **{name: theirs[name] for name in ("model", adapter)}} if imported else theirs
            except FineTuneError as error:  # keep the form as it is
                refused = "\n\n".join(escaped(sentence(problem, language)) for problem in error.problems)
        if model := asked.get("model"):
            shown = {**shown, "model": model}
        return [gr.Markdown(refused, visible=bool(refused)), *(shown.get(name, gr.skip()) for name in form)]

    # Without Gradio's queue: its event stream would hold a connection per tab and break when the user leaves.
    plain: Any = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    gr.on(
        [component.change for component in form.values()],
        on_change,
        inputs_kwargs={"preset_name": preset_box, **form},
        outputs=[described, kept, reported, start_button],
        trigger_mode="always_last",
        **plain,
    )
    yaml_part.change(
        on_yaml, inputs_kwargs={"asked": yaml_part, "preset_name": preset_box, **form}, outputs=[yaml_said, *form.values()],
        **plain,
    )  # fmt: skip
    # `input` also fires when the box loses focus, which would undo the user's changes.
    preset_box.select(on_preset, preset_box, [model, *widgets.values()], **plain)
    for asking in (fit, reset, recipes):
        asking.change(on_fit, asking, [run_id, *widgets.values()], **plain)
    to_run = "(id) => { if (id) window.location.href = 'run?run=' + encodeURIComponent(id) }"
    started = start_button.click(
        on_start, inputs_kwargs=form, outputs=[described, run_id], trigger_mode="once", **plain
    )
    started.then(None, run_id, None, js=to_run)
    block = gr.context.Context.root_block
    if block is not None:
        # `?model=NAME`: a run of that model. `?from=RUN`: a new run that starts from that run's adapter; `?copy=RUN`: one with the same settings.
        with_query = "(kept) => [kept, window.location.search]"
        block.load(on_load, [kept, query], [notice, *form.values()], js=with_query, **plain).then(
            None, js="() => { window.dispatchEvent(new Event('finetune-form')) }"
        )  # fmt: skip


QUESTIONS_ASKED = 3


def _argument(name: str) -> str:
    """A setting's name as a keyword: 'lora.r' can't be one."""
    return name.replace(".", "__")


def sweep_choices(language: str) -> list[tuple[str, str]]:
    """(name, label with its name) of each setting that a sweep can vary."""
    known = set(sweepable())
    return [(one.name, f"{one.label} · {one.name}") for one in controls(language) if one.name in known]


def preset_choices() -> list[tuple[str, str]]:
    """(name with its numbers, name) for each preset."""
    return [(f"{name} · {numbers_of(make())}", name) for name, make in PRESETS.items()]


def numbers_of(config: FineTuneConfig) -> str:
    bits = "4-bit" if config.load_in_4bit else "8-bit" if config.load_in_8bit else "16-bit"
    batch = f"{config.per_device_train_batch_size} x {config.gradient_accumulation_steps}"
    rank = "full" if config.tuning == "full" else f"r {config.lora.r}"
    return f"{bits}, max_length {config.max_length}, {batch}, {rank}"


def new_form(home: Home, preset: str, language: str) -> Settings:
    """Return the values of a form that nobody has filled in: the preset's, with the default recipe.

    The dataset is left out, because the address can name one.
    """
    book = recipes_of(home)
    recipe = next(recipe for recipe in book.recipes if recipe.name == book.default)
    values = form_values(with_changes(PRESETS[preset](), recipe.settings).model_dump(), language)
    return {name: value for name, value in values.items() if name != "dataset"}


def form_values(config: Settings, language: str) -> Settings:
    """Convert a config to form values; the inverse of `config_of`."""
    checked = FineTuneConfig.model_validate(config)
    dataset = checked.dataset if isinstance(checked.dataset, str) else ""
    settings = {_argument(name): value for name, value in widget_values(checked, language).items()}
    return {**settings, "model": checked.model_name, "dataset": dataset}


def config_of(values: Settings, language: str) -> Settings:
    """Convert form values to a config, not validated."""
    settings = {name.replace("__", "."): value for name, value in values.items()}
    return {
        **from_widgets(settings, language),
        "model_name": str(settings.get("model") or STARTER),
        "dataset": str(settings.get("dataset") or ""),
    }


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
