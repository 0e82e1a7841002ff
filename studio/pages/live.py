"""Parts that our own script fills from `/api`: they poll small answers, and keep zoom and focus while they do."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

SCRIPTS = "".join(
    [
        f"<script src='/ui-assets/{name}'></script>"
        for name in (
            "plotly.min.js",
            "studio.js",
            "dataset.js",
            "tokens.js",
            "library.js",
            "warm_trainer.js",
            "rescue.js",
            "fit.js",
            "hub.js",
            "queue.js",
        )
    ]
    + ["<link rel='stylesheet' href='/ui-assets/studio.css'>"]
)


def live_part(kind: str, language: str, elem_id: str, value: str = "", **facts: Any) -> gr.HTML:
    """An empty element which `FinetuneStudio.<kind>` of static/studio.js makes into a live part of the page.

    Its value is a plain text that the script may set (a dataset's id); nothing of the data is ever HTML.
    """
    settings = json.dumps({"language": language, **facts}).replace("<", "\\u003c")
    return gr.HTML(
        value=value,
        html_template=f"<div class='fs-part fs-{kind}'></div>",
        js_on_load=f"FinetuneStudio.start('{kind}', element.querySelector('.fs-part'), {settings}, {{props, trigger, watch}})",
        head=SCRIPTS,
        elem_id=elem_id,
        padding=False,
    )
