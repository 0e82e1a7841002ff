"""The Datasets page: inspects a file before training, and lists all datasets."""

from __future__ import annotations

import gradio as gr

from interfaces.config import STARTER
from interfaces.data_files import SUFFIXES
from interfaces.texts import Texts
from studio.datasets.library import MOST_BYTES
from studio.models.catalog import CATALOG
from studio.pages.live import live_part


def build_datasets_page(words: Texts, language: str) -> None:
    """Build the library and, beside it, the upload area with the dataset that is open. Our scripts fill both from `/api`."""
    gr.Markdown(f"# {words['look_heading']}")
    models = [STARTER, *(entry.id for entry in CATALOG if entry.id != STARTER)]
    with gr.Row(elem_id="datasets-page"):
        with gr.Column(elem_id="datasets-list"):
            live_part("library", language, "datasets-library")
        with gr.Column(elem_id="datasets-side"):
            live_part("dataset", language, "datasets-data", most_bytes=MOST_BYTES, suffixes=SUFFIXES, models=models)
