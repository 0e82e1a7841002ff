"""The widgets of the settings, made from the form's controls."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from interfaces.run_config import Settings
from interfaces.texts import Texts
from studio.pages.form import GROUPS, Control, controls, step_of, to_widget
from studio.pages.live import live_part

BESIDE_THE_DATA = ("max_length", "long_rows", "bad_rows", "validation_split")
"""Settings that depend on the data."""
IN_THE_SUMMARY = ("name",)
"""Settings beside the Start button."""
OF_THE_METHOD = "method"
"""The group of settings of which those of the chosen method are shown."""


def data_form(language: str, start: Settings) -> dict[str, Component]:
    """Create the widgets next to the data."""
    by_name = {control.name: control for control in controls(language)}
    with gr.Row(elem_classes="fs-basic"):
        return {name: _widget(by_name[name], start[name]) for name in BESIDE_THE_DATA}


def name_form(words: Texts, language: str) -> dict[str, Component]:
    """Create the widget for the run's name, which is generated if it stays empty."""
    [control] = [control for control in controls(language) if control.name == "name"]
    return {"name": gr.Textbox(label=control.label, placeholder=words["name_generated"], elem_id="cfg-name")}


def method_form(words: Texts, language: str, start: Settings) -> dict[str, Component]:
    """Create the choices of the training method and of what is trained, and the basic settings of each method."""
    method, tuning, *others = [one for one in controls(language) if one.group == OF_THE_METHOD and one.basic]
    boxes: dict[str, Component] = {}
    with gr.Row(elem_classes="fs-basic"):
        for chosen in (method, tuning):
            choices = [(words[f"{chosen.name}_{name}"], name) for name in chosen.choices]
            named = {"label": chosen.label, "info": chosen.help, "elem_id": f"cfg-{chosen.name}", "min_width": 220}
            boxes[chosen.name] = gr.Dropdown(choices, value=start[chosen.name], **named)
        return {**boxes, **{control.name: _widget(control, start[control.name]) for control in others}}


def basic_form(language: str, start: Settings) -> dict[str, Component]:
    """Create the widgets of the settings that most runs change, and a scale for the learning rate."""
    with gr.Row(elem_classes="fs-basic"):
        widgets = {
            control.name: _widget(control, start[control.name])
            for control in _others(language)
            if control.basic and control.group != OF_THE_METHOD
        }
    live_part("rate", language, "train-rate")
    return widgets


def more_form(words: Texts, language: str, start: Settings) -> dict[str, Component]:
    """Create all other widgets in a collapsed list, by group."""
    widgets: dict[str, Component] = {}
    with gr.Accordion(words["more"], open=False, elem_id="train-more"):
        for group in GROUPS:
            folded = [control for control in _others(language) if control.group == group and not control.basic]
            if not folded:
                continue
            gr.Markdown(f"### {words['group_' + group]}")
            with gr.Row(elem_classes="fs-basic"):
                for control in folded:
                    widgets[control.name] = _widget(control, start[control.name])
    return widgets


def _others(language: str) -> list[Control]:
    """The controls that are in no other place."""
    return [control for control in controls(language) if control.name not in BESIDE_THE_DATA + IN_THE_SUMMARY]


def _widget(control: Control, value: object) -> Component:
    common: Any = {
        "label": control.label, "info": control.help, "value": to_widget(control, value) if control.kind == "lines" and isinstance(value, list) else value,
        "elem_id": "cfg-" + control.name.replace(".", "-").replace("_", "-"), "min_width": 220, "interactive": True,
    }  # fmt: skip
    if control.kind == "switch":
        return gr.Checkbox(**common)
    if control.kind == "choice" and control.name in BESIDE_THE_DATA and len(control.choices) == 2:
        return gr.Radio(choices=list(control.choices), **common)
    if control.kind == "choice":
        return gr.Dropdown(choices=list(control.choices), **common)
    if control.kind in ("number", "whole"):
        # No minimum in the widget, which would clamp silently. The review reports values out of bounds.
        return gr.Number(step=step_of(control), **common)
    return gr.Textbox(lines=3 if control.kind == "lines" else 1, **common)
