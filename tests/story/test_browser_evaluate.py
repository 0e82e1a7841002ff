"""Evaluate in the browser: a run is evaluated, its table read, rows looked at, votes cast, and the result deleted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Finished
from interfaces.job_folders import EvaluationFolder
from interfaces.texts import texts
from studio.evaluation.votes import votes_of
from tests.conftest import alpaca_rows, write_rows
from tests.story.conftest import LOOKS
from tests.support.adapters import adapter_folder
from tests.support.evaluations import answers, question, recorded_evaluation
from tests.support.records import recorded_run, step
from tests.support.served import Studio

sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")
pytestmark = pytest.mark.story
EN = texts("page")
expect = sync_api.expect
END = Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1)


def test_a_run_is_evaluated_and_its_answers_compared_blindly(
    new_page: Callable[..., Any], studio: Studio, tiny_model: Path, tmp_path: Path
) -> None:
    rows = str(write_rows(tmp_path / "rows.jsonl", alpaca_rows(20)))
    settings = {"dataset": rows, "validation_split": 0.5, "bf16": False, "cpu_threads": 1}
    run = recorded_run(studio.home, step(1), END, model_name=str(tiny_model), **settings)
    adapter_folder(run.adapter, tiny_model, 1)
    page = new_page()
    page.goto(f"{studio.url}/en/run?run={run.id}")
    page.get_by_role("link", name=EN["evaluate"], exact=True).last.click()
    expect(page.get_by_text(EN["no_evaluations"])).to_be_visible()
    page.get_by_text(EN["evaluate_more"]).click()
    tokens = page.get_by_label(EN["try_max_new_tokens"])
    tokens.fill("0")
    page.get_by_role("button", name=EN["start_evaluation"], exact=True).click()
    assert page.evaluate("document.activeElement.id") == "fs-evaluate-tokens", "the wrong value is pointed at"
    tokens.fill("8")
    schema = page.get_by_label(EN["evaluate_schema"], exact=True)
    schema.fill("{")
    page.get_by_role("button", name=EN["start_evaluation"], exact=True).click()
    expect(page.locator(".fs-problem").first).to_have_text(EN["schema_no_json"])
    schema.fill("")
    page.get_by_label("Exact match", exact=True).check()
    page.get_by_role("button", name=EN["start_evaluation"], exact=True).click()
    card = page.locator(".fs-evaluation").first
    expect(card.locator(".fs-state")).to_have_text(EN["state_finished"])
    expect(card.get_by_role("heading")).to_have_text(f"{EN['held_out']} + {EN['general_questions']}")
    table = card.get_by_role("row")
    expect(table.filter(has_text="Exact match")).to_contain_text("can't tell from 10 rows")
    expect(table.filter(has_text="General questions")).to_contain_text("60 rows")
    card.get_by_text(EN["evaluation_rows"]).click()
    expect(card.locator(".fs-row-table tbody tr")).to_have_count(70)
    page.reload()
    expect(card.locator(".fs-state")).to_have_text(EN["state_finished"])
    card.get_by_text(EN["blind_votes"]).click()
    for left in (9, 8):
        card.get_by_role("button", name=EN["vote_a"]).dblclick()
        expect(card.get_by_text(f"{left} pairs left")).to_be_visible()
    card.get_by_role("button", name=EN["vote_undo"]).click()
    expect(card.get_by_text("9 pairs left")).to_be_visible()
    [folder] = EvaluationFolder.all_of(run)
    votes = votes_of(folder)
    assert votes.tuned + votes.base == 1
    page.once("dialog", lambda dialog: dialog.accept())
    card.get_by_role("button", name=EN["delete"]).click()
    expect(page.get_by_text(EN["no_evaluations"])).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_the_page_looks_right_and_can_be_read_by_everyone(
    new_page: Callable[..., Any], studio: Studio, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    runs = [recorded_run(studio.home, step(1), END) for _ in range(2)]
    questions = [question(number, f"Q{number}", "yes") for number in range(1, 41)]
    lines = [line for one in questions for line in answers(one.number, "no", "yes" if one.number % 3 else "no")]
    for run in runs:
        recorded_evaluation(run, questions, lines, gate="exact match >= 0.8")
    language = "zh" if scheme == "dark" else "en"
    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.goto(f"{studio.url}/{language}/evaluate?run={runs[0].id}")
    expect(page.locator(".fs-verdict[data-verdict=better]").first).to_be_visible()
    expect(page.locator(".fs-gate").first).to_contain_text("0.675")
    page.get_by_text(texts("page", language)["evaluation_rows"]).first.click()
    page.get_by_text(texts("page", language)["blind_votes"]).first.click()
    expect(page.locator(".fs-votes .fs-answer")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]}).response["violations"]
    assert [(item["id"], item["nodes"][0]["html"][:160]) for item in found] == []
