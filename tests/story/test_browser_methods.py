"""Preference training in the browser: from a file with a planted fault to an adapter that is tried and evaluated."""

import json
import re
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
SIXTY_EPOCHS_MS = 300_000
"""How long sixty epochs on 38 pairs may take on a slow processor."""


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
    expect(page.locator(".fs-state")).to_have_text(EN["state_finished"], timeout=SIXTY_EPOCHS_MS)
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
    try_it(page)
    page.goto(f"{studio.url}/en/run?run={run.id}")
    evaluate(page)


def try_it(page: Any) -> None:
    """Ask the base model and the result, from the run's page."""
    page.get_by_role("link", name=EN["try_it"], exact=True).last.click()
    expect(page.get_by_label(EN["before"])).to_be_checked()
    page.get_by_text(EN["try_settings"]).click()
    page.get_by_label(EN["try_max_new_tokens"]).fill("12")
    page.get_by_label(EN["prompt"], exact=True).fill("How do I open box number 3?")
    page.keyboard.press("Enter")
    answers = page.locator("#fs-turn-1 .fs-answer")
    expect(answers).to_have_count(2)
    for number in (0, 1):
        expect(answers.nth(number)).to_contain_text("token")
        expect(answers.nth(number)).not_to_have_attribute("data-writing", "")
    said = [answers.nth(number).locator(".fs-said-text").inner_text() for number in (0, 1)]
    assert said[0] != said[1]


def evaluate(page: Any) -> None:
    """Evaluate a run with general questions, from its page."""
    page.get_by_role("link", name=EN["evaluate"], exact=True).last.click()
    page.get_by_text(EN["evaluate_more"]).click()
    page.get_by_label(EN["try_max_new_tokens"]).fill("8")
    page.get_by_role("button", name=EN["start_evaluation"], exact=True).click()
    card = page.locator(".fs-evaluation").first
    expect(card.locator(".fs-state")).to_have_text(EN["state_finished"])
    expect(card.get_by_role("row").filter(has_text="General questions")).to_contain_text("60 rows")


def test_all_weights_are_trained_tried_evaluated_and_exported(
    new_page: Callable[..., Any], studio: Studio, tiny_model: Path, tmp_path: Path
) -> None:
    rows = [{"prompt": f"Box {number}?", "completion": f"Turn the key {number} times."} for number in range(40)]
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps(rows))
    page = new_page()
    page.goto(f"{studio.url}/en/")
    page.locator("#train-settings button").first.wait_for(state="attached")
    name_model(page, str(tiny_model))
    page.set_input_files("#fs-file", file)
    expect(page.locator("#cfg-lora-r")).to_be_visible()
    page.locator("#cfg-tuning input").click()
    page.get_by_role("option", name=EN["tuning_full"]).click()
    expect(page.locator("#cfg-lora-r")).to_be_hidden()
    expect(page.locator("#train-rate")).to_contain_text(EN["tuning_full"])
    setting(page, "learning_rate").fill("0.003")
    expect(page.locator("#train-review")).to_contain_text(f"sft, {EN['tuning_full']}")
    expect(page.locator("#train-fit .fs-memory")).to_have_attribute("aria-label", re.compile(EN["part_optimizer"]))
    page.screenshot(path=tmp_path / "full.png", full_page=True)
    page.locator("#train-start:enabled").click()
    page.wait_for_url("**/run?run=*")
    address, run = page.url, studio.home.run(page.url.partition("run=")[2])
    expect(page.locator(".fs-state")).to_have_text(EN["state_finished"])
    expect(page.get_by_role("link", name=EN["download_adapter"], exact=True).first).to_be_visible()
    assert (run.model / "model.safetensors").is_file()
    try_it(page)
    page.goto(address)
    evaluate(page)
    page.goto(address)
    page.get_by_role("link", name=EN["export_page"], exact=True).last.click()
    kinds = page.get_by_label(EN["export_kind"], exact=True).locator("option")
    expect(kinds).to_have_text([EN["export_merged"], EN["export_gguf"], EN["export_ollama"]])
    page.goto(address)
    page.get_by_role("link", name=EN["continue_training"], exact=True).click()
    expect(page.locator("#train-model")).to_contain_text(f"{run.id}/model")


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
