"""Try it in the browser: base beside tuned, stop, reload, and what a page shows of a child."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Stopped
from interfaces.texts import texts
from tests.story.conftest import LOOKS
from tests.support.adapters import run_with_adapter
from tests.support.records import recorded_run, step
from tests.support.served import Studio

sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")
pytestmark = pytest.mark.story
EN = texts("page")
expect = sync_api.expect


def test_base_and_result_answer_side_by_side_stop_and_are_there_after_a_reload(
    new_page: Callable[..., Any], studio: Studio, tiny_model: Path
) -> None:
    questions = ["Who are you?", "你好"]
    run = run_with_adapter(studio.home, tiny_model, sample_prompts=questions)
    page = new_page()
    page.goto(f"{studio.url}/en/run?run={run.id}")
    page.get_by_role("link", name=EN["try_it"], exact=True).last.click()
    expect(page.get_by_label(EN["before"])).to_be_checked()
    page.get_by_text(EN["try_settings"]).click()
    tokens = page.get_by_label(EN["try_max_new_tokens"])
    tokens.fill("0")
    page.get_by_label(EN["prompt"], exact=True).fill("Hi <b>there</b>")
    page.keyboard.press("Enter")
    expect(page.locator(".fs-problem").first).to_contain_text(EN["try_max_new_tokens"])
    tokens.fill("12")
    page.get_by_role("button", name=EN["send"], exact=True).click()
    answers = page.locator("#fs-turn-1 .fs-answer")
    expect(answers).to_have_count(2)
    for number in (0, 1):
        expect(answers.nth(number)).to_contain_text(EN["end_length"])
    expect(page.locator("#fs-turn-1 .fs-asked")).to_have_text("Hi <b>there</b>")
    said = [answers.nth(number).inner_text() for number in (0, 1)]
    assert said[0] != said[1]
    # The questions of the run and a kept one, one after the other.
    page.locator("#fs-turn-1").get_by_role("button", name=EN["keep_question"]).click()
    page.get_by_role("button", name="Ask 3 test questions").click()
    expect(page.locator("#fs-turn-4 .fs-answer").last).to_contain_text(EN["end_length"])
    assert page.locator(".fs-asked").all_inner_texts()[1:] == [*questions, "Hi <b>there</b>"]
    # A long answer is stopped, and a reload in its middle reads on.
    tokens.fill("8000")
    expect(page.get_by_role("button", name=EN["send"], exact=True)).to_be_visible()
    page.get_by_label(EN["prompt"], exact=True).fill("Tell a long story")
    page.keyboard.press("Enter")
    writing = page.locator("#fs-turn-5 .fs-answer[data-writing] .fs-said-text")
    expect(writing.last).not_to_be_empty()
    page.reload()
    expect(writing.last).not_to_be_empty()
    assert answers.nth(0).inner_text() == said[0]
    page.get_by_role("button", name=EN["stop_answer"], exact=True).click()
    expect(page.locator("#fs-turn-5 .fs-answer").last).to_contain_text(re.compile(r"\d token"))
    expect(page.get_by_role("button", name=EN["send"], exact=True)).to_be_visible()
    page.get_by_role("button", name=EN["free_memory"]).click()
    expect(page.get_by_role("button", name=EN["free_memory"])).to_be_hidden()
    # At most three answer.
    for box in page.get_by_role("group", name=EN["who_answers"]).get_by_role("checkbox").all():
        box.check()
    expect(page.locator(".fs-turn")).to_have_count(0)


def test_studio_without_an_adapter_says_what_to_do(new_page: Callable[..., Any], studio: Studio) -> None:
    run = recorded_run(studio.home, step(1), Stopped(step=1, resumable=False))
    page = new_page()
    page.goto(f"{studio.url}/en/run?run={run.id}")
    page.locator(".fs-chart").wait_for()
    expect(page.locator(".fs-run").get_by_role("link", name=EN["try_it"], exact=True)).to_be_hidden()
    page.goto(f"{studio.url}/en/try?chat=20200101-000000-abcd")
    page.get_by_text("There is no chat '20200101-000000-abcd'").wait_for()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_page_is_responsive_and_accessible(
    new_page: Callable[..., Any], studio: Studio, tiny_model: Path, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    run = run_with_adapter(studio.home, tiny_model)
    language = "zh" if scheme == "dark" else "en"
    words = texts("page", language)
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(f"{studio.url}/{language}/try?run={run.id}")
    page.get_by_text(words["try_settings"]).click()
    page.get_by_label(words["try_max_new_tokens"]).fill("5")
    page.get_by_label(words["prompt"], exact=True).fill("Hi " + "x" * 300)
    page.keyboard.press("Enter")
    expect(page.locator("#fs-turn-1 .fs-answer").last).to_contain_text(words["end_length"])
    expect(page.get_by_role("button", name=words["send"], exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]}).response["violations"]
    assert [(item["id"], item["nodes"][0]["html"][:160]) for item in found] == []
