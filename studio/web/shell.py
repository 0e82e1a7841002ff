"""The frame around every page: navigation, device meter, theme and language, inserted into Gradio's HTML before it is sent.

The browser therefore draws it with the first bytes, in the chosen theme, and nothing moves when Gradio starts.
"""

from __future__ import annotations

import re
from html import escape

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interfaces.texts import texts
from studio.web.errors import language_of

_PAGE = re.compile(r"/(en|zh)/?(|datasets|run|runs|compare|sweep|try|evaluate|export|models|settings|help)/?")
_STYLES = "".join(
    f'<link rel="stylesheet" href="/ui-assets/{name}.css">'
    for name in ("studio", "data", "run", "shell", "train", "try", "pages")
)
_SCRIPT = '<script type="module" src="/ui-assets/shell.js"></script>'
_THEME = """<script>
{
  const chosen = localStorage.getItem("finetune-theme");
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.classList.toggle("fs-dark", dark);
  document.body.classList.toggle("dark", dark);
}
</script>"""
"""Runs before anything is drawn: the page never flashes in the other theme."""
_ICONS = {
    "train": "M12 5v14M5 12h14",
    "runs": "M4 18l5-6 4 3 7-9M4 4v16h16",
    "try": "M4 5h16v11H10l-4 4v-4H4z",
    "evaluate": "M4 20h16M7 20v-7M12 20V5M17 20v-10",
    "datasets": "M4 6c0-3 16-3 16 0v12c0 3-16 3-16 0zM4 6c0 3 16 3 16 0M4 12c0 3 16 3 16 0",
    "models": "M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.5",
    "settings": "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
    "help": "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM9.5 9.5c0-3.5 5-3.5 5 0 0 2-2.5 2-2.5 4M12 17v.5",
    "theme": "M12 3a9 9 0 1 0 9 9 7 7 0 0 1-9-9z",
    "language": "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18",
}
"""Paths of line icons in a 24 by 24 box."""
_LANG = {"en": "en", "zh": "zh-CN"}
_PLACES = {
    "train": "", "runs": "runs", "datasets": "datasets", "models": "models", "try_it": "try", "evaluate": "evaluate", "studio_settings": "settings", "help": "help",
}  # fmt: skip
_NAMES = {path: name for name, path in _PLACES.items()} | {
    "run": "run",
    "compare": "compare",
    "sweep": "sweep",
    "export": "export_page",
}
"""The key of each page's name, by the last part of its path."""


class Shell:
    """ASGI middleware that frames the pages, and shows people who mistype an address a page instead of JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        page = _PAGE.fullmatch(scope["path"])
        for_person = "text/html" in Headers(scope=scope).get("accept", "")
        start: Message | None = None
        body = b""

        async def send_framed(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                kind = Headers(raw=message["headers"]).get("content-type", "")
                is_page = page is not None and message["status"] == 200 and kind.startswith("text/html")
                if is_page or (message["status"] == 404 and for_person):
                    start = message
                    return
            elif start is not None:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                if start["status"] == 404:
                    await HTMLResponse(not_found(language_of(Request(scope))), 404)(scope, receive, send)
                    return
                assert page is not None
                body = framed(body.decode(), page[1], page[2]).encode()
                MutableHeaders(scope=start)["content-length"] = str(len(body))
                await send(start)
                message = {"type": "http.response.body", "body": body}
            await send(message)

        await self._app(scope, receive, send_framed)


def framed(html: str, language: str, place: str) -> str:
    """Insert the frame into a page of Gradio's. `place` is the page's last path part, empty for New fine-tune."""
    html = html.replace('lang="en"', f'lang="{_LANG[language]}"', 1)
    words = texts("page", language)
    title = f"<title>{escape(words[_NAMES[place]])} – {escape(words['title'])}</title>"
    html = html.replace('control_page_title="true"', 'control_page_title="false"', 1)  # run.js keeps its own up to date
    html = html.replace("</head>", f"{title}{_STYLES}{_SCRIPT}</head>", 1)
    return re.sub(r"<body[^>]*>", lambda body: body[0] + _THEME + _rail(language, place), html, count=1)


def _head(language: str, title: str, styles: str) -> str:
    """Return the beginning of a page without Gradio, up to its body."""
    return (
        f'<!doctype html><html lang="{_LANG[language]}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>{styles}</head>'
    )


def not_found(language: str) -> str:
    """Return the page for an unknown address."""
    words = texts("page", language)
    return (
        _head(language, words["not_found"], _STYLES)
        + f'<body class="fs-alone">{_THEME}<main><h1>{escape(words["not_found"])}</h1>'
        f"<p>{escape(words['not_found_help'])}</p>"
        f'<p><a class="fs-button" href="/{language}/">{escape(words["train"])}</a> '
        f'<a class="fs-button" href="/{language}/runs">{escape(words["runs"])}</a></p></main></body></html>'
    )


_LOGIN_STYLE = """<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui; max-width: 24rem; margin: 15vh auto; padding: 0 1rem }
label { display: block; margin-bottom: 1rem }
input { display: block; width: 100%; box-sizing: border-box; margin-top: .25rem }
input, button { font: inherit; padding: .5rem .75rem; border: 1px solid #94a3b8; border-radius: 6px }
button { background: #0f766e; border-color: #0f766e; color: #fff; font-weight: 600; cursor: pointer }
:focus-visible { outline: 2px solid #0d9488; outline-offset: 2px }
</style>"""
"""Part of the page, because no other file is served without the token."""


def login_page(language: str) -> str:
    """Return the page that asks for the token."""
    words = texts("page", language)
    return (
        _head(language, words["title"], _LOGIN_STYLE)
        + f"<body><main><h1>{escape(words['title'])}</h1><p>{escape(words['login_help'])}</p>"
        f'<form method="get" action="/"><label>{escape(words["login_token"])}'
        '<input name="token" type="password" autocomplete="off" required autofocus></label>'
        f"<button>{escape(words['login_open'])}</button></form></main></body></html>"
    )


def _rail(language: str, place: str) -> str:
    words = texts("page", language)
    other = "zh" if language == "en" else "en"
    links = "".join(_link(name, path, language, place, words[name]) for name, path in _PLACES.items())
    theme, there = escape(words["theme"]), escape(words["other_language"])
    return (
        f'<a class="fs-skip" href="#fs-main">{escape(words["skip"])}</a>'
        f'<nav class="fs-rail" aria-label="{escape(words["navigation"])}" data-language="{language}">'
        f'<a class="fs-brand" href="/{language}/" aria-label="{escape(words["title"])}"><img src="/favicon.ico" alt="" width="20" height="20">'
        f"<span>{escape(words['title'])}</span></a>{links}"
        '<div class="fs-rail-foot"><a class="fs-current" hidden></a><div class="fs-meter"></div>'
        f'<div class="fs-rail-tools"><button type="button" class="fs-theme" aria-label="{theme}" title="{theme}">'
        f'{_icon("theme")}</button><a class="fs-language" href="/{other}/" lang="{_LANG[other]}" '
        f'aria-label="{there}" title="{there}">{_icon("language")}<span>{there}</span></a></div></div></nav>'
    )


def _link(name: str, path: str, language: str, place: str, text: str) -> str:
    current = ' aria-current="page"' if place == path else ""
    count = '<b class="fs-running" hidden></b>' if name == "runs" else ""
    style = "fs-rail-new" if name == "train" else "fs-rail-link"
    return (
        f'<a class="{style}" href="/{language}/{path}" title="{escape(text)}"{current}>'
        f"{_icon(path or 'train')}<span>{escape(text)}</span>{count}</a>"
    )


def _icon(name: str) -> str:
    return f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{_ICONS[name]}"/></svg>'
