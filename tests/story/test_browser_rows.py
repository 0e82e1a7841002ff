"""Rows in the browser: searched, edited, removed and added with undo; duplicates and personal data; a dataset divided."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interfaces.example_file import ExampleFile
from interfaces.texts import texts
from studio.datasets.library import list_datasets
from tests.conftest import write_rows
from tests.support.served import Studio

pytestmark = pytest.mark.story
sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")
expect = sync_api.expect
EN, ZH = texts("page"), texts("page", "zh")


def added(page: Any, studio: Studio, path: Path, rows: list[dict[str, str]]) -> None:
    page.goto(f"{studio.url}/en/datasets")
    page.locator(".fs-drop").wait_for()
    page.set_input_files("#fs-file", write_rows(path, rows))
    page.get_by_text(f"{len(rows)} of {len(rows)} rows are valid.").wait_for()


def newest(studio: Studio) -> list[str]:
    """The answers of the dataset that was made last."""
    folder = studio.home.dataset(list_datasets(studio.home)[0].id)
    return [example.messages[-1].content for example in ExampleFile(folder)]


def test_rows_are_found_edited_added_and_removed_with_undo(
    new_page: Callable[..., Any], studio: Studio, tmp_path: Path
) -> None:
    page = new_page()
    rows = [{"prompt": f"Question {n}?", "completion": "word " * (n + 1)} for n in range(20)]
    added(page, studio, tmp_path / "talks.jsonl", rows)
    cards = page.locator(".fs-talk-card")
    expect(cards).to_have_count(6)
    page.get_by_label(EN["order"]).select_option("longest")
    expect(cards.first).to_contain_text("Question 19?")
    page.get_by_label(EN["rows_search"]).fill("question 7")
    expect(page.get_by_text("1–1 of 1 rows")).to_be_visible()

    cards.get_by_role("button", name=f"{EN['row_edit']}: Row 8").click()
    editor = page.get_by_role("dialog", name="Row 8")
    answer = editor.get_by_label(EN["turn_content"]).last
    answer.fill(" ")
    editor.get_by_role("button", name=EN["row_save"]).click()
    editor.get_by_text(EN["row_empty"]).wait_for()
    editor.get_by_role("checkbox", name=EN["trained_on"]).uncheck()
    editor.get_by_role("button", name=EN["row_save"]).click()
    editor.get_by_text(EN["row_no_answer"]).wait_for()
    editor.get_by_role("checkbox", name=EN["trained_on"]).check()
    answer.fill("A <b>new</b> answer.")
    page.screenshot(path=tmp_path / "editor.png")
    editor.get_by_role("button", name=EN["row_save"]).click()
    page.get_by_text("1 changed, 0 removed, 0 added").wait_for()
    assert newest(studio)[7] == "A <b>new</b> answer."
    page.get_by_text(EN["version_difference"]).click()
    expect(page.locator(".fs-after")).to_contain_text("A <b>new</b> answer.")
    expect(page.locator(".fs-before")).to_contain_text("word word")
    expect(page.locator(".fs-library")).to_contain_text("version 2 of 2")
    page.screenshot(path=tmp_path / "difference.png", full_page=True)

    page.get_by_role("button", name=f"{EN['delete']}: Row 1", exact=True).click()
    page.get_by_text("0 changed, 1 removed, 0 added").wait_for()
    page.locator(".fs-origin").get_by_role("button", name=EN["undo"]).click()
    page.get_by_text("1 changed, 0 removed, 0 added").wait_for()
    page.get_by_text("20 of 20 rows are valid.").wait_for()
    page.get_by_role("button", name=EN["row_add"]).click()
    editor = page.get_by_role("dialog", name=EN["row_add"])
    editor.get_by_label(EN["turn_content"]).first.fill("Who are you?")
    editor.get_by_label(EN["turn_content"]).last.fill("Lumo.")
    editor.get_by_role("button", name=EN["row_save"]).click()
    page.get_by_text("21 of 21 rows are valid.").wait_for()
    assert newest(studio)[-1] == "Lumo."


def test_a_pair_whose_answers_would_be_the_same_stays_open(
    new_page: Callable[..., Any], studio: Studio, tmp_path: Path
) -> None:
    page = new_page()
    rows = [{"prompt": f"Question {n}?", "chosen": f"Yes, {n}.", "rejected": f"No, {n}."} for n in range(3)]
    added(page, studio, tmp_path / "pairs.jsonl", rows)
    page.locator(".fs-talk-card").get_by_role("button", name=f"{EN['row_edit']}: Row 2").click()
    editor = page.get_by_role("dialog", name="Row 2")
    rejected = editor.get_by_label(EN["turn_content"]).last
    rejected.fill("Yes, 1. ")
    editor.get_by_role("button", name=EN["row_save"]).click()
    editor.get_by_text(EN["sides_equal"]).wait_for()
    rejected.fill("Never.")
    editor.get_by_role("button", name=EN["row_save"]).click()
    page.get_by_text("1 changed, 0 removed, 0 added").wait_for()


def test_duplicates_and_personal_data_are_found_and_removed_by_choice(
    new_page: Callable[..., Any], studio: Studio, tmp_path: Path
) -> None:
    page = new_page()
    long = "The lantern charges from empty to full in forty-seven minutes of sunshine, and it glows for nine nights"
    rows = [
        {"prompt": f"How long does lantern {n} take?", "completion": f"{n * 7919} is its number, and {n} its place."}
        for n in range(9)
    ]
    rows += [{"prompt": "How?", "completion": f"{long}."}, {"prompt": "How?", "completion": f"{long}!"}]
    rows += [{"prompt": "Who?", "completion": "Ada, ada@example.org, +1 415 555 2671."}]
    added(page, studio, tmp_path / "clean.jsonl", rows)
    page.get_by_role("tab", name=EN["tab_clean"]).click()
    page.get_by_role("button", name=EN["find_duplicates"]).click()
    page.get_by_text("1 group with 2 rows").wait_for()
    page.get_by_role("button", name=EN["find_personal"]).click()
    page.get_by_text("Found in 1 row").wait_for()
    page.screenshot(path=tmp_path / "cleaning.png", full_page=True)
    page.get_by_label(re.compile(EN["personal_phone"])).uncheck()
    page.get_by_role("button", name=EN["personal_mask"]).click()
    page.get_by_text("1 changed, 0 removed, 0 added").wait_for()
    assert newest(studio)[-1] == "Ada, [EMAIL], +1 415 555 2671."
    page.locator(".fs-origin").get_by_role("button", name=EN["undo"]).click()
    expect(page.locator(".fs-origin")).to_have_count(0)
    page.get_by_role("tab", name=EN["tab_clean"]).click()
    page.get_by_role("button", name=EN["find_duplicates"]).click()
    page.get_by_role("button", name="Remove 1 row, keep the first of each group").click()
    page.get_by_text("0 changed, 1 removed, 0 added").wait_for()
    assert len(newest(studio)) == 11
    page.get_by_role("tab", name=EN["tab_clean"]).click()
    page.get_by_label(EN["divide_share"]).fill("20")
    page.get_by_text("9 and 2 rows").wait_for()
    page.get_by_role("button", name=EN["divide"], exact=True).click()
    page.get_by_text(EN["divided"]).wait_for()
    page.get_by_role("link", name="2 rows", exact=True).click()
    page.get_by_text("2 of 2 rows are valid.").wait_for()
    page.locator(".fs-said", has_text="clean.jsonl (20 %)").wait_for()


def test_a_long_job_is_canceled(new_page: Callable[..., Any], studio: Studio, tmp_path: Path) -> None:
    page = new_page("zh-CN", color_scheme="dark", viewport={"width": 360, "height": 800})
    page.goto(f"{studio.url}/zh/datasets")
    path = tmp_path / "many.jsonl"
    with path.open("w") as file:
        file.writelines(
            json.dumps({"prompt": f"q{n}", "completion": f"{n} " + "answer " * 40}) + "\n" for n in range(30_000)
        )
    page.locator(".fs-drop").wait_for()
    page.set_input_files("#fs-file", path)
    page.get_by_text("30,000").first.wait_for()
    page.get_by_role("tab", name=ZH["tab_clean"]).click()
    page.get_by_role("button", name=ZH["find_duplicates"]).click()
    page.wait_for_function("document.querySelector('.fs-cleaning progress').value > 0")
    page.locator(".fs-cleaning").get_by_role("button", name=ZH["cancel"]).first.click()
    page.get_by_text(texts("problem", "zh")["job_canceled"]).wait_for()
    page.screenshot(path=tmp_path / "narrow.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
