"""The pages: one Gradio app per language."""

from __future__ import annotations

import warnings

import gradio as gr

from interfaces.device import Device
from interfaces.texts import texts
from studio.finetune_manager import FinetuneManager
from studio.pages.datasets import build_datasets_page
from studio.pages.live import live_part
from studio.pages.run import build_compare_page, build_run_page, build_runs_page
from studio.pages.theme import studio_theme
from studio.pages.train import build_train_page

QUEUE_SECONDS = 0.5
"""How often Gradio's queue looks for work. No event of ours uses it; its default of 1 ms costs 2% of a core per language."""
STATES_KEPT = 200
"""Sessions whose state the server keeps; Gradio's default is 10,000."""


def build_pages(manager: FinetuneManager, device: Device, language: str, secret: str) -> gr.Blocks:
    """Build all pages in one language. No `gr.State` and no unload events: both would hold a connection per tab."""
    words = texts("page", language)
    with gr.Blocks(title=words["title"], analytics_enabled=False, delete_cache=(3600, 86400)) as pages:
        gr.Navbar(visible=False)
        build_train_page(manager, device, words, language, secret)
    with pages.route(words["datasets"], "/datasets"):
        gr.Navbar(visible=False)
        build_datasets_page(words, language)
    with pages.route(words["run"], "/run"):
        gr.Navbar(visible=False)
        build_run_page(language)
    with pages.route(words["runs"], "/runs"):
        gr.Navbar(visible=False)
        build_runs_page(language)
    with pages.route(words["compare"], "/compare"):
        gr.Navbar(visible=False)
        build_compare_page(language)
    with pages.route(words["sweep"], "/sweep"):
        gr.Navbar(visible=False)
        live_part("sweep", language, "sweep-live")
    with pages.route(words["try_it"], "/try"):
        gr.Navbar(visible=False)
        live_part("try", language, "try-live")
    with pages.route(words["evaluate"], "/evaluate"):
        gr.Navbar(visible=False)
        live_part("evaluate", language, "evaluate-live")
    with pages.route(words["export_page"], "/export"):
        gr.Navbar(visible=False)
        live_part("export", language, "export-live")
    with pages.route(words["models"], "/models"):
        gr.Navbar(visible=False)
        live_part("models", language, "models-list")
    with pages.route(words["studio_settings"], "/settings"):
        gr.Navbar(visible=False)
        live_part("studio_settings", language, "studio-settings")
    with pages.route(words["help"], "/help"):
        gr.Navbar(visible=False)
        gr.Markdown(words["help_text"], elem_id="help-text")
        live_part("help", language, "help-entries")
    pages.state_session_capacity = STATES_KEPT
    return pages


def mount_pages(app: object, pages: gr.Blocks, path: str) -> None:
    """Mount the pages of one language on the server."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        gr.mount_gradio_app(
            app, pages, path=path, run_history=False, footer_links=[], show_error=False, enable_monitoring=False,
            allowed_paths=[], ssr_mode=False, theme=studio_theme(), max_file_size="1mb",
        )  # fmt: skip
    pages._queue.sleep_when_free = pages._queue.progress_update_sleep_when_free = QUEUE_SECONDS
