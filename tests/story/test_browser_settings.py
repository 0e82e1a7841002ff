"""Settings, Help and the tour in the browser: each control works, clean-ups are undone, and everything is found."""

import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Finished
from interfaces.files import read_json
from interfaces.folders import RunFolder
from interfaces.texts import texts
from tests.story.conftest import LOOKS
from tests.support.records import recorded_run, step
from tests.support.served import Studio

pytestmark = pytest.mark.story
sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")
expect = sync_api.expect
EN, ZH = texts("page"), texts("page", "zh")


def finished(studio: Studio) -> RunFolder:
    """A finished run with four checkpoints of one megabyte."""
    run = recorded_run(studio.home, step(1, 4), Finished(step=4, peak_memory_bytes=1, seconds=1))
    for at in range(1, 5):
        run.checkpoint(at).mkdir(parents=True)
        (run.checkpoint(at) / "adapter_model.safetensors").write_bytes(os.urandom(1_000_000))
    return run


def test_tour_is_offered_once_and_can_be_repeated(new_page: Callable[..., Any], studio: Studio, tmp_path: Path) -> None:
    page = new_page()
    offer = page.get_by_role("region", name=EN["tour"])
    offer.wait_for()
    page.screenshot(path=tmp_path / "tour-offer.png")
    offer.get_by_role("button", name=EN["tour_start"]).click()
    for number in range(1, 6):
        tour = page.get_by_role("dialog", name=EN[f"tour_{number}"])
        tour.get_by_text(EN[f"tour_{number}_text"]).wait_for()
        assert page.locator(".fs-tour-target").count() == 1
        page.screenshot(path=tmp_path / f"tour-{number}.png")
        tour.get_by_role("button", name=EN["tour_end" if number == 5 else "tour_next"]).click()
    expect(page.locator(".fs-tour, .fs-tour-target")).to_have_count(0)
    page.reload()
    page.locator("#train-start").wait_for()
    page.wait_for_load_state("networkidle")
    expect(offer).to_be_hidden()
    page.goto(f"{studio.url}/en/settings")
    page.locator("#appearance").get_by_role("button", name=EN["tour_again"]).click()
    page.get_by_role("dialog", name=EN["tour_1"]).wait_for()
    page.keyboard.press("Escape")
    expect(page.locator(".fs-tour")).to_have_count(0)
    assert "tour" not in page.url


def test_clean_up_is_undone_or_deleted_for_good(new_page: Callable[..., Any], studio: Studio, tmp_path: Path) -> None:
    run = finished(studio)
    page = new_page()
    page.goto(f"{studio.url}/en/settings")
    storage = page.locator("#storage")
    storage.get_by_text("3 checkpoints of finished runs").wait_for()
    page.screenshot(path=tmp_path / "settings.png", full_page=True)
    storage.locator("[data-kind=checkpoints]").click()
    storage.get_by_role("button", name=EN["undo"]).wait_for()
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-0000004"]
    page.reload()
    storage.get_by_role("button", name=EN["undo"]).click()
    storage.get_by_text("3 checkpoints of finished runs").wait_for()
    assert len(list(run.checkpoints.iterdir())) == 4
    storage.locator("[data-kind=checkpoints]").click()
    storage.get_by_role("button", name=EN["cleanup_now"]).click()
    expect(storage.get_by_role("button", name=EN["undo"])).to_have_count(0)
    assert not list(studio.home.trash.glob("cleanup-*"))
    with page.expect_download() as downloading:
        page.get_by_role("link", name=EN["export_all"]).click()
    with zipfile.ZipFile(downloading.value.path()) as archive:
        assert archive.testzip() is None
        assert f"runs/{run.id}/checkpoints/step-0000004/adapter_model.safetensors" in archive.namelist()
        assert not [name for name in archive.namelist() if name.startswith(("models", "studio-token", "cache"))]
    page.get_by_text(EN["remove_all"], exact=True).click()
    expect(page.locator("#fs-remove-all li").nth(1)).to_contain_text(str(studio.home.path))


def test_settings_are_kept(new_page: Callable[..., Any], studio: Studio) -> None:
    page = new_page(color_scheme="light")
    page.goto(f"{studio.url}/en/settings")
    page.locator("#appearance").get_by_label(EN["theme"]).select_option("dark")
    page.wait_for_function("document.body.classList.contains('dark')")
    page.get_by_label(EN["default_recipe"]).select_option("thorough")
    page.get_by_text(EN["saved"]).wait_for()
    assert (read_json(studio.home.recipes) or {})["default"] == "thorough"
    expect(page.get_by_label(EN["warm_trainer_setting"])).to_be_disabled()  # the studio was started without one
    page.get_by_text(EN["warm_trainer_fixed"]).wait_for()
    notifications = page.locator("#notifications")
    notifications.get_by_role("button", name=EN["notify_test"]).click()
    notifications.get_by_text(EN["notify_nobody"]).wait_for()
    notifications.get_by_label(EN["webhook"]).fill("nonsense")
    notifications.get_by_role("button", name=EN["webhook_keep"]).click()
    notifications.get_by_text(re.compile("should be an address")).wait_for()
    notifications.get_by_label(EN["webhook"]).fill("http://127.0.0.1:9/?key=sesame")
    notifications.get_by_role("button", name=EN["webhook_keep"]).click()
    notifications.get_by_text(EN["webhook_kept"].format(host="127.0.0.1")).wait_for()
    assert "sesame" not in page.content()
    notifications.get_by_role("button", name=EN["notify_test"]).click()
    notifications.get_by_text(re.compile("Webhook: URLError")).wait_for()
    notifications.get_by_role("button", name=EN["webhook_forget"]).click()
    expect(notifications.get_by_text(EN["webhook_kept"].format(host="127.0.0.1"))).to_be_hidden()
    assert json.loads(studio.home.secrets.read_text())["webhook"] == ""
    page.locator("#appearance").get_by_label(EN["language"]).select_option("zh")
    page.get_by_role("heading", name=ZH["studio_settings"], level=1).wait_for()
    page.reload()
    assert page.evaluate("document.body.classList.contains('dark')")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_is_searched_and_found_by_the_palette(
    new_page: Callable[..., Any], studio: Studio, language: str, tmp_path: Path
) -> None:
    words, advice = texts("page", language), texts("advice", language)
    page = new_page()
    page.goto(f"{studio.url}/{language}/help")
    entries = page.locator("#help-entries [data-entry]")
    expect(entries.first).to_be_visible()
    page.screenshot(path=tmp_path / "help.png", full_page=True)
    page.get_by_label(words["help_search"]).fill("learning_rate")
    expect(page.locator("[id='setting-learning_rate']")).to_be_visible()
    expect(page.get_by_text(advice["forgot"], exact=True)).to_be_hidden()
    page.get_by_label(words["help_search"]).fill("qqqq")
    page.get_by_text(words["none_found_here"]).wait_for()
    page.goto(f"{studio.url}/{language}/runs")
    page.locator("#runs-list h1").wait_for()
    page.keyboard.press("Control+k")
    page.keyboard.type(advice["forgot"][:12])
    page.locator("#fs-places a").filter(has_text=advice["forgot"]).wait_for()
    page.keyboard.press("Enter")
    page.get_by_text(advice["forgot_help"]).wait_for()
    assert page.evaluate("document.activeElement.textContent") == advice["forgot"]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_pages_fit_every_width(new_page: Callable[..., Any], studio: Studio, scheme: str, width: int) -> None:
    """No sideways scrolling, and nothing that axe finds against WCAG A or AA, with all that can be opened."""
    from axe_playwright_python.sync_playwright import Axe

    finished(studio)
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    language = "zh" if scheme == "dark" else "en"
    for path, ready in (("settings", "#storage .fs-cleanups .fs-setting"), ("help", "#help-entries [data-entry]")):
        page.goto(f"{studio.url}/{language}/{path}")
        page.locator(ready).first.wait_for()
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]}).response["violations"]
        assert [(item["id"], item["nodes"][0]["html"][:160]) for item in found] == []
