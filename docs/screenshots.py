"""Takes the pictures in docs/images from a running studio whose home holds a finished demo run.

finetune demo && finetune studio --no-browser     (elsewhere)
python docs/screenshots.py LINK
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).resolve().parent / "images"
SHOTS = (
    ("train-light", "en-US", "light", 1280),
    ("train-dark-narrow-zh", "zh-CN", "dark", 360),
    ("run-light", "en-US", "light", 1280),
    ("run-dark", "en-US", "dark", 1280),
    ("run-narrow", "en-US", "light", 360),
    ("runs-light", "en-US", "light", 1280),
)


def take(browser: Browser, link: str, name: str, locale: str, scheme: str, width: int) -> None:
    """One picture of a whole page."""
    page = browser.new_context(
        locale=locale, color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce"  # type: ignore[arg-type]
    ).new_page()  # fmt: skip
    page.goto(link)
    page.locator(".fs-head").wait_for()
    if name.startswith("train"):
        page.locator("button.fs-button", has_text="").nth(1).click()
        page.locator(".fs-talk").first.wait_for()
    else:
        language = "zh" if locale.startswith("zh") else "en"
        page.goto(page.url.split(f"/{language}/")[0] + f"/{language}/runs")
        page.locator(".fs-runs tbody a").first.wait_for()
        if name.startswith("run-"):
            page.locator(".fs-runs tbody a").first.click()
            page.wait_for_function("Number(document.querySelector('.fs-chart')?.dataset.points || 0) > 1")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True)


def main() -> None:
    """Every picture."""
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for shot in SHOTS:
            take(browser, sys.argv[1], *shot)


if __name__ == "__main__":
    main()
