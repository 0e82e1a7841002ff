"""Importing in the browser: an adapter from elsewhere becomes a run, and a file that is none gets a sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interfaces.texts import texts
from tests.story.conftest import LOOKS
from tests.support.adapters import foreign_adapter
from tests.support.served import Studio

sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")
pytestmark = pytest.mark.story
EN = texts("page")
expect = sync_api.expect


def test_an_adapter_from_elsewhere_becomes_a_run(
    new_page: Callable[..., Any], studio: Studio, tmp_path: Path, tiny_model: Path
) -> None:
    import shutil

    adapter = foreign_adapter(tmp_path / "from-a-friend", tiny_model, 1)
    archive = shutil.make_archive(str(adapter), "zip", adapter)
    (tmp_path / "photos.zip").write_bytes(b"PK no zip")
    page = new_page()
    page.goto(f"{studio.url}/en/runs")
    page.get_by_role("button", name=EN["import_adapter"], exact=True).click()
    dialog = page.get_by_role("dialog", name=EN["import_adapter"])
    begin = dialog.get_by_role("button", name=EN["import_start"], exact=True)
    begin.click()
    expect(dialog.get_by_text(EN["import_no_file"])).to_be_visible()
    dialog.get_by_label(EN["import_file"]).set_input_files(tmp_path / "photos.zip")
    begin.click()
    expect(dialog.get_by_text("The adapter 'photos.zip' can't be imported")).to_be_visible()
    dialog.get_by_label(EN["import_file"]).set_input_files(archive)
    begin.click()
    dialog.get_by_role("link", name="from-a-friend.zip").click()
    expect(page.get_by_role("heading", name="from-a-friend", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=EN["retry"], exact=True)).to_be_hidden()
    expect(page.get_by_text("learning_rate")).to_have_count(0)
    page.get_by_role("link", name=EN["continue_training"], exact=True).click()
    expect(page.locator("#train-review")).to_contain_text(EN["missing_data"])
    page.goto(f"{studio.url}/en/runs")
    expect(page.get_by_role("button", name="#imported")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_the_dialog_can_be_read_by_everyone(
    new_page: Callable[..., Any], studio: Studio, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.goto(f"{studio.url}/en/runs")
    page.get_by_role("button", name=EN["import_adapter"], exact=True).click()
    dialog = page.get_by_role("dialog", name=EN["import_adapter"])
    expect(dialog).to_be_visible()
    box = dialog.bounding_box()
    assert box is not None
    assert abs(box["y"] + box["height"] / 2 - 400) < 40, "in the middle"
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    found = Axe().run(page, context="dialog.fs-narrow")
    assert not found.response["violations"], found.generate_report()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
