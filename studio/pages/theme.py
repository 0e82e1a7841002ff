"""The theme of the pages: Gradio's default with higher contrast and without external fonts."""

from __future__ import annotations

import gradio as gr

FONTS = ["ui-sans-serif", "system-ui", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "sans-serif"]


def studio_theme() -> gr.themes.Base:
    """Light and dark."""
    return gr.themes.Default(
        primary_hue="teal", neutral_hue="slate", font=FONTS, font_mono=["ui-monospace", "monospace"]
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
    )
