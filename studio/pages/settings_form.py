"""The widgets of the settings, made from the form's dials."""

from __future__ import annotations

from typing import Any

import gradio as gr

from interfaces.texts import Texts
from studio.pages.form import Dial, dials, to_widget

GROUPS = ("training", "lora", "data", "model", "memory", "saving")


BESIDE_THE_DATA = ("max_length", "long_rows", "bad_rows", "validation_split")
"""Settings that are decided by looking at the data."""


def data_form(language: str, start: dict[str, Any]) -> dict[str, Any]:
    """The widgets that stand beside the data."""
    by_name = {dial.name: dial for dial in dials(language)}
    with gr.Row(elem_classes="fs-basic"):
        return {name: _widget(by_name[name], start[name]) for name in BESIDE_THE_DATA}


def settings_form(words: Texts, language: str, start: dict[str, Any]) -> dict[str, Any]:
    """All other widgets by their settings' names: the few that matter open, the rest folded by group."""
    widgets: dict[str, Any] = {}
    known = [dial for dial in dials(language) if dial.name not in BESIDE_THE_DATA]
    with gr.Row(elem_classes="fs-basic"):
        for dial in (dial for dial in known if dial.basic):
            widgets[dial.name] = _widget(dial, start[dial.name])
    with gr.Accordion(words["more"], open=False, elem_id="train-more"):
        for group in GROUPS:
            folded = [dial for dial in known if dial.group == group and not dial.basic]
            if not folded:
                continue
            gr.Markdown(f"### {words['group_' + group]}")
            with gr.Row(elem_classes="fs-basic"):
                for dial in folded:
                    widgets[dial.name] = _widget(dial, start[dial.name])
    return widgets


def _widget(dial: Dial, value: Any) -> Any:
    common = {
        "label": dial.label, "info": dial.help, "value": to_widget(dial, value) if dial.kind == "lines" and isinstance(value, list) else value,
        "elem_id": "cfg-" + dial.name.replace(".", "-").replace("_", "-"), "min_width": 220, "interactive": True,
    }  # fmt: skip
    if dial.kind == "switch":
        return gr.Checkbox(**common)
    if dial.kind == "choice" and dial.name in BESIDE_THE_DATA:
        return gr.Radio(choices=list(dial.choices), **common)
    if dial.kind == "choice":
        return gr.Dropdown(choices=list(dial.choices), **common)
    if dial.kind in ("number", "whole"):
        # No minimum in the widget: it would clamp in silence. What is out of bounds is said in the review.
        return gr.Number(precision=0 if dial.kind == "whole" else None, **common)
    return gr.Textbox(lines=3 if dial.kind == "lines" else 1, **common)
