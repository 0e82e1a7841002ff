"""Markdown of models as HTML that is safe to show: no HTML of its own, no images, no scripts, nothing that is fetched."""

from __future__ import annotations

from functools import cache
from typing import Any

from markdown_it import MarkdownIt


def as_html(text: str) -> str:
    """Render Markdown. Links open in a new tab; HTML in the text is shown as text, and so are images."""
    return str(_markdown().render(text))


@cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    markdown.disable("image")
    markdown.add_render_rule("link_open", _link_open)
    return markdown


def _link_open(self: Any, tokens: Any, index: int, options: Any, environment: Any) -> str:
    tokens[index].attrSet("target", "_blank")
    tokens[index].attrSet("rel", "noopener noreferrer")
    return str(self.renderToken(tokens, index, options, environment))
