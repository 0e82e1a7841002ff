"""Parts that our own script fills from `/api`: they poll small answers, and keep zoom and focus while they do."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

STYLES = "<link rel='stylesheet' href='/ui-assets/studio.css'><link rel='modulepreload' href='/ui-assets/start.js'>"


def live_part(kind: str, language: str, elem_id: str, value: str = "", **facts: Any) -> gr.HTML:
    """An empty element which the module that static/start.js names for this kind makes into a live part of the page.

    Its value is a plain text that the script may set (a dataset's id); nothing of the data is ever HTML.
    """
    settings = json.dumps({"language": language, **facts}).replace("<", "\\u003c")
    return gr.HTML(
        value=value,
        html_template=f"<div class='fs-part fs-{kind}'></div>",
        js_on_load=f"import('/ui-assets/start.js').then(({{ start }}) => start('{kind}', element.querySelector('.fs-part'), {settings}, {{ props, trigger, watch }}))",
        head=STYLES,
        elem_id=elem_id,
        padding=False,
    )
