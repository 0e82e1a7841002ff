"""A studio that is served for a browser, and pages that are logged in and collect what goes wrong."""

import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interfaces.folders import Home, RunFolder
from interfaces.texts import texts
from studio.processes.launcher import LocalLauncher
from tests.support.served import Studio

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LOOKS = [
    ("light", 1440),
    pytest.param("dark", 1440, marks=pytest.mark.long),
    pytest.param("light", 360, marks=pytest.mark.long),
    pytest.param("light", 768, marks=pytest.mark.long),
    ("dark", 360),
]
"""Color scheme and width of the window."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, starter_home: Home) -> Iterator[Studio]:
    home = Home(tmp_path_factory.mktemp("browser"))
    home.models.mkdir()
    home.starter.symlink_to(starter_home.starter.resolve(), target_is_directory=True)
    served = Studio(home, "--no-warm-trainer")
    yield served
    served.kill()
    for path in home.runs.glob("*"):
        LocalLauncher().signal(RunFolder(path), signal.SIGKILL)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")
    sync_api.expect.set_options(timeout=120_000)
    with sync_api.sync_playwright() as playwright:
        chromium = CHROMIUM or playwright.chromium.executable_path
        if not Path(chromium).is_file():
            pytest.skip(
                "no Chromium: .venv/bin/playwright install chromium, or the system's package (apt install chromium)"
            )
        yield playwright.chromium.launch(executable_path=chromium, args=FLAGS)


def setting(page: Any, name: str) -> Any:
    """Return the input of a setting in the form."""
    return page.locator(f"#cfg-{re.sub('[._]', '-', name)}").locator("input, textarea").first


def name_model(page: Any, model: str) -> None:
    """Choose a model by its name or folder, in the sheet."""
    words = texts("page")
    page.get_by_role("button", name=words["model_change"], exact=True).click()
    page.get_by_label(words["own_model"], exact=True).fill(model)
    page.keyboard.press("Enter")


@pytest.fixture
def new_page(browser: Any, studio: Studio) -> Iterator[Callable[..., Any]]:
    """Pages that are logged in, each in a browser of its own. Errors of the page and requests elsewhere are collected."""
    wrong: list[str] = []
    contexts = []

    def make(locale: str = "en-US", tolerate: str = r"status of (?!500)", **options: Any) -> Any:
        context = browser.new_context(
            locale=locale, reduced_motion="reduce", **{"viewport": {"width": 1280, "height": 900}, **options}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
        # What is refused is answered with a status that the browser reports on its own.
        page.on(
            "console",
            lambda line: (
                wrong.append(f"console: {line.text}")
                if line.type == "error" and not re.search(tolerate, line.text)
                else None
            ),
        )
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((studio.url, "data:", "blob:")) else wrong.append(request.url)
            ),
        )
        page.goto(studio.link)
        return page

    yield make
    for context in contexts:
        context.close()
    assert wrong == []
