"""A studio that is served for a browser, and pages that are logged in and collect what goes wrong."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interfaces.folders import Home, RunFolder
from studio.launcher import LocalLauncher

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Studio:
    """`finetune studio` as a process, on a port of its own."""

    def __init__(self, home: Home, *options: str, environment: dict[str, str] | None = None) -> None:
        self.home, self.options, self.environment = home, options, environment or {}
        self.port: int | None = None
        self.start()

    def start(self) -> None:
        command = [
            str(Path(sys.executable).parent / "finetune"),
            "studio",
            "--no-browser",
            *self.options,
            "--home",
            str(self.home.path),
        ]
        if self.port is not None:
            command += ["--port", str(self.port)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, **self.environment},
        )
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/\?token=\S+", line):
                self.link, self.port = found[0], int(found[1])
                return
        raise AssertionError("the studio did not start: " + "".join(said))

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, starter_home: Home) -> Iterator[Studio]:
    home = Home(tmp_path_factory.mktemp("browser"))
    home.models.mkdir()
    home.starter.symlink_to(starter_home.starter.resolve(), target_is_directory=True)
    served = Studio(home, "--no-spare")
    yield served
    served.kill()
    for path in home.runs.glob("*"):
        LocalLauncher().signal(RunFolder(path), signal.SIGKILL)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("Debian's chromium is not installed")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@pytest.fixture
def new_page(browser: Any, studio: Studio) -> Iterator[Callable[..., Any]]:
    """Pages that are logged in, each in a browser of its own. Errors of the page and requests elsewhere are collected."""
    wrong: list[str] = []
    contexts = []

    def make(locale: str = "en-US", tolerate: str = "status of 422", **options: Any) -> Any:
        context = browser.new_context(
            locale=locale, reduced_motion="reduce", **{"viewport": {"width": 1280, "height": 900}, **options}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
        # A refused file is answered with 422, which the browser reports by itself.
        page.on(
            "console",
            lambda line: (
                wrong.append(f"console: {line.text}") if line.type == "error" and tolerate not in line.text else None
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
