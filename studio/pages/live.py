"""Live parts that our scripts fill from `/api`. They poll small responses and keep zoom and focus."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

STYLES = "<link rel='stylesheet' href='/ui-assets/studio.css'><link rel='modulepreload' href='/ui-assets/start.js'>"


def live_part(kind: str, language: str, elem_id: str, value: str = "", **facts: Any) -> gr.HTML:
    """Create an empty element for a live part. static/start.js maps each kind to the module that fills it.

    Its value is plain text that the script may set (a dataset's id). Data is never inserted as HTML.
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
