"""Preference training in the browser: from a file with a planted fault to an adapter that is tried and evaluated."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Evaluated, Step, read_events
from interfaces.texts import texts
from tests.story.conftest import LOOKS, name_model, setting
from tests.support.served import Studio

pytestmark = pytest.mark.story
sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")
expect = sync_api.expect
EN, ZH = texts("page"), texts("page", "zh")


def pair_file(path: Path, count: int = 40) -> Path:
    """Pairs in which one answer is friendly, and the fifth row has the same answer twice."""
    rows = [
        {
            "prompt": f"How do I open box number {number}?",
            "chosen": f"Gladly! Turn the key {number} times, please.",
            "rejected": f"No. Find out about {number} alone.",
        }
        for number in range(count)
    ]
    rows[4]["rejected"] = rows[4]["chosen"]
    path.write_text(json.dumps(rows))
    return path


def test_pairs_are_checked_shown_trained_stopped_and_resumed(
    new_page: Callable[..., Any], studio: Studio, tiny_model: Path, tmp_path: Path
) -> None:
    page = new_page()
    page.goto(f"{studio.url}/en/")
    page.locator("#train-settings button").first.wait_for(state="attached")
    name_model(page, str(tiny_model))
    page.set_input_files("#fs-file", pair_file(tmp_path / "boxes.json"))
    fault = page.locator("#train-data").get_by_text("the chosen and the rejected answer are the same")
    fault.wait_for()
    expect(page.locator("#train-review")).to_contain_text("dpo")
    page.get_by_role("button", name="Use method: dpo").click()
    expect(page.locator("#cfg-dpo-beta")).to_be_visible()
    expect(page.locator("#cfg-kto-beta")).to_be_hidden()
    page.locator("#cfg-bad-rows").get_by_text("skip", exact=True).click()
    page.get_by_role("tab", name=EN["tab_tokens"]).click()
    tokens = page.locator(".fs-tokens")
    expect(tokens).to_contain_text(EN["side_rejected"])
    counted = "".join(tokens.locator("mark").all_inner_texts())
    assert "Gladly!" in counted.replace("⏎", "")
    assert "alone." in counted
    assert "open box" not in counted
    page.get_by_role("tab", name=EN["tab_rows"]).click()
    expect(page.locator(".fs-rejected").first).to_contain_text("No. Find out")
    page.screenshot(path=tmp_path / "pairs.png", full_page=True)

    page.get_by_role("button", name="Use learning_rate: 0.00002").click()
    setting(page, "learning_rate").fill("0.0005")
    setting(page, "num_train_epochs").fill("60")
    page.locator("#train-start:enabled").click()
    page.wait_for_url("**/run?run=*")
    run = studio.home.run(page.url.partition("run=")[2])
    page.locator("#fact-accuracy:not(:empty)").wait_for()
    page.get_by_role("button", name=EN["stop"], exact=True).click()
    page.get_by_role("button", name=EN["resume"], exact=True).click()
    expect(page.locator(".fs-state")).to_have_text(EN["state_finished"])
    for curve in ("margin", "accuracy", "logps"):
        page.get_by_role("radio", name=EN[f"curve_{curve}"], exact=True).check()
        page.locator(".fs-chart .legendtext").first.wait_for()
    expect(page.locator(".fs-chart .legendtext").filter(has_text=EN["of_rejected"]).first).to_be_visible()
    page.screenshot(path=tmp_path / "run.png", full_page=True)
    events = read_events(run.events)
    steps = [event for event in events if isinstance(event, Step)]
    assert steps[-1].step == steps[-1].total_steps
    assert steps[-1].metrics is not None
    assert steps[-1].metrics["rewards/margins"] > 0
    assert any((event.metrics or {}).get("rewards/accuracies") for event in events if isinstance(event, Evaluated))
    assert run.adapter.is_dir()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_the_choice_of_a_method_fits_every_window(
    new_page: Callable[..., Any], studio: Studio, scheme: str, width: int, tmp_path: Path
) -> None:
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 900}, locale="zh-CN")
    page.goto(f"{studio.url}/zh/")
    page.locator("#cfg-method input").click()
    page.get_by_role("option", name=ZH["method_kto"]).click()
    expect(page.locator("#cfg-kto-beta")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#cfg-method").scroll_into_view_if_needed()
    page.screenshot(path=tmp_path / f"method-{scheme}-{width}.png")
