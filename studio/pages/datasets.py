"""Datasets: look at a file before anything is trained, and the library of all datasets."""

from __future__ import annotations

import gradio as gr

from interfaces.config import STARTER
from studio.datasets.library import MOST_BYTES
from studio.models.catalogue import CATALOGUE
from studio.pages.live import live_part


def build_datasets_page(texts: dict[str, str], language: str) -> None:
    """A place to drop files, and the list of what was dropped. Filled by our own script from `/api`."""
    gr.Markdown(f"# {texts['look_heading']}")
    models = [STARTER, *(entry.id for entry in CATALOGUE if entry.id != STARTER)]
    live_part("dataset", texts, language, "datasets-data", most_bytes=MOST_BYTES, models=models)
    live_part("library", texts, language, "datasets-library")
