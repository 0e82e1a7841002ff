"""Takes the pictures in docs/images: of a studio with a home of its own, in which the demo has been run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from interfaces.folders import Home  # noqa: E402
from tests.support.served import Studio  # noqa: E402

IMAGES = Path(__file__).resolve().parent / "images"
SHOTS = (
    ("train-light", "en-US", "light", 1280),
    ("train-dark-narrow-zh", "zh-CN", "dark", 360),
    ("datasets-light", "en-US", "light", 1280),
    ("datasets-dark", "en-US", "dark", 1280),
    ("run-light", "en-US", "light", 1280),
    ("run-dark", "en-US", "dark", 1280),
    ("run-narrow", "en-US", "light", 360),
    ("runs-light", "en-US", "light", 1280),
    ("models-light", "en-US", "light", 1280),
)


def rows_with_faults() -> bytes:
    """The sample, with a few things wrong in it."""
    lines = (files("assets") / "samples" / "lumo-lantern.jsonl").read_text(encoding="utf-8").splitlines()
    lines[6] = lines[6][:40]
    lines[11] = json.dumps({"instruction": "Is the Lumo waterproof?"})
    lines[19] = json.dumps({"instruction": "How long does it burn?", "output": "nan"})
    lines[30] = lines[3]
    return "\n".join(lines).encode()


def take(browser: Browser, link: str, name: str, locale: str, scheme: str, width: int) -> None:
    """One picture of a whole page."""
    page = browser.new_context(
        locale=locale, color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce"  # type: ignore[arg-type]
    ).new_page()  # fmt: skip
    page.goto(link)
    page.locator(".fs-rail").wait_for()
    if name.startswith("train"):
        page.locator(".fs-dataset .fs-row button").first.click()
        page.locator("#fs-data-tab-tokens").click()
        page.locator(".fs-tokens .fs-t").first.wait_for()
    elif name.startswith("datasets"):
        page.goto(page.url + "datasets")
        page.locator(".fs-drop").wait_for()
        page.set_input_files("#fs-file", {"name": "support.jsonl", "mimeType": "", "buffer": rows_with_faults()})
        page.locator("#fs-data-tab-tokens").click()
        page.locator(".fs-tokens .fs-t").first.wait_for()
        page.locator(".fs-library tbody tr").first.wait_for()
    elif name.startswith("models"):
        page.goto(page.url + "models")
        page.locator(".fs-models tbody tr").first.wait_for()
    else:
        language = "zh" if locale.startswith("zh") else "en"
        page.goto(page.url.split(f"/{language}/")[0] + f"/{language}/runs")
        page.locator(".fs-runs tbody a").first.wait_for()
        if name.startswith("run-"):
            page.locator(".fs-runs tbody a").first.click()
            page.wait_for_function("Number(document.querySelector('.fs-chart')?.dataset.points || 0) > 1")
    page.wait_for_load_state("networkidle")
    # As high as the page: the frame is as high as the window, and a longer picture would cut it off.
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": width, "height": height})
    page.screenshot(path=IMAGES / f"{name}.png")


def main() -> None:
    """Every picture."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        home = Home(Path(place) / "home")
        home.models.mkdir(parents=True)
        home.starter.symlink_to(Home.of(None, os.environ).starter.resolve(), target_is_directory=True)
        subprocess.run([Path(sys.executable).parent / "finetune", "demo", "--home", home.path], check=True)
        studio = Studio(home, "--no-warm-trainer")
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
                for shot in SHOTS:
                    take(browser, studio.link, *shot)
        finally:
            studio.kill()


if __name__ == "__main__":
    main()
