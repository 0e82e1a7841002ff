"""Markdown of models is shown without anything of it being run or fetched."""

import pytest

from studio.chat.rendering import as_html


def test_markdown_is_rendered() -> None:
    html = as_html("# Title\n\n**bold** and `code`\n\n```python\nx = 1 < 2\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    for part in ("<h1>", "<strong>bold</strong>", "<code>code</code>", "x = 1 &lt; 2", "<table>"):
        assert part in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![a](https://example.org/a.png)",
        "[a](javascript:alert(1))", "[a](data:text/html,<script>alert(1)</script>)", "<https://a.b/\"onclick=\"x>",
        "[a](https://example.org 'x\" onmouseover=\"alert(1)')", "`<b onclick=x>`",
    ],
)  # fmt: skip
def test_nothing_is_run_or_fetched(text: str) -> None:
    html = as_html(text)
    for tag in ("<script", "<img", "<b ", "<iframe"):
        assert tag not in html
    for attribute in ('href="javascript', 'href="data', ' onclick="', ' onerror="', ' onmouseover="'):
        assert attribute not in html


def test_links_open_elsewhere_without_telling_where_from() -> None:
    assert 'target="_blank" rel="noopener noreferrer"' in as_html("[a](https://example.org)")
