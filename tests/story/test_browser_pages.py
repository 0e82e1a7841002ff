"""New fine-tune and Runs in the browser, without training: marked fields, reset, search, filter, and deleting several."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import CheckpointCommitted, Evaluated, Stopped
from interfaces.texts import texts
from studio.runs.names import rename_run
from tests.story.conftest import name_model, setting
from tests.support.records import recorded_run, step
from tests.support.served import Studio

sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")
pytestmark = pytest.mark.story
EN = texts("page")
STOPPED = [*(step(number, 3) for number in range(1, 4)), Stopped(step=3, resumable=False)]
expect = sync_api.expect


def test_empty_home_offers_the_demo(new_page: Callable[..., Any], studio: Studio) -> None:
    page = new_page()
    demo = page.get_by_role("button", name=EN["try_demo"])
    expect(demo).to_be_visible()
    page.goto(f"{studio.url}/en/runs")
    expect(demo).to_be_visible()
    recorded_run(studio.home, *STOPPED)
    page.goto(f"{studio.url}/en/")
    expect(page.get_by_role("button", name=EN["take_sample"])).to_be_visible()
    expect(demo).to_be_hidden()


def test_setting_without_effect_says_so(new_page: Callable[..., Any]) -> None:
    page = new_page()
    epochs = page.locator("#cfg-num-train-epochs")
    page.get_by_label(EN["search_settings"]).fill("max_steps")
    steps = setting(page, "max_steps")
    steps.fill("7")
    steps.press("Tab")
    expect(epochs).to_have_attribute("data-idle", EN["no_effect"])
    steps.fill("-1")
    steps.press("Tab")
    expect(epochs).not_to_have_attribute("data-idle", EN["no_effect"])


def test_invalid_setting_is_marked_and_start_says_why(new_page: Callable[..., Any]) -> None:
    page = new_page()
    start = page.get_by_role("button", name=EN["start"])
    expect(start).to_be_disabled()
    page.get_by_role("button", name=EN["take_sample"]).click()
    expect(start).to_be_enabled()
    rate = setting(page, "learning_rate")
    rate.fill("7")
    rate.press("Tab")
    expect(start).to_be_disabled()
    expect(rate).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#train-review")).to_contain_text("learning_rate is 7")
    rate.fill("0.0001")
    rate.press("Tab")
    expect(start).to_be_enabled()
    expect(rate).not_to_have_attribute("aria-invalid", "true")


def test_unknown_model_and_run_are_named(new_page: Callable[..., Any], studio: Studio) -> None:
    page = new_page()
    page.get_by_role("button", name=EN["take_sample"]).click()
    expect(page.get_by_role("button", name=EN["start"])).to_be_enabled()
    name_model(page, "nonsense")
    expect(page.locator("#train-review")).to_contain_text("Unknown model 'nonsense'")
    expect(page.get_by_role("button", name=EN["start"])).to_be_disabled()
    page.goto(f"{studio.url}/en/?from=20200101-000000-dead")
    expect(page.locator("#train-notice")).to_contain_text("20200101-000000-dead")


def test_recommended_models_show_the_hints_and_what_they_need_here(new_page: Callable[..., Any]) -> None:
    page = new_page()
    change = page.get_by_role("button", name=EN["model_change"], exact=True)
    change.focus()
    page.keyboard.press("Enter")
    sheet = page.get_by_role("dialog", name=EN["model_choose"])
    row = sheet.get_by_role("row").filter(has_text="Qwen2.5-Coder-1.5B-Instruct")
    for words in (EN["tier_best"], "6-8 GB (8-bit)", "2-4 h", "Apache-2.0", "3.1 GB"):
        expect(row).to_contain_text(words)
    expect(row.locator(".fs-badge")).to_contain_text("GB")
    expect(sheet.locator("tr[aria-current]")).to_contain_text("SmolLM2-135M-Instruct")
    page.keyboard.press("Escape")
    expect(change).to_be_focused()
    change.click()
    kept = page.evaluate("localStorage.getItem('finetune-form')")
    row.get_by_role("button").click()
    expect(sheet).to_be_hidden()
    expect(page.locator(".fs-chosen")).to_contain_text("Qwen2.5-Coder-1.5B-Instruct")
    page.wait_for_function("(kept) => localStorage.getItem('finetune-form') !== kept", arg=kept)
    page.reload()
    expect(page.locator(".fs-chosen")).to_contain_text("Qwen2.5-Coder-1.5B-Instruct")


def test_recipes_set_the_form_and_own_ones_are_saved(new_page: Callable[..., Any]) -> None:
    page = new_page()
    radio = lambda name: page.get_by_role("radio", name=re.compile(f"^{name}"))  # noqa: E731
    expect(radio(EN["recipe_balanced"])).to_be_checked()
    radio(EN["recipe_quick"]).check()
    expect(setting(page, "num_train_epochs")).to_have_value("1")
    expect(radio(EN["recipe_quick"])).to_be_checked()
    expect(page.get_by_text("3 settings differ from the preset.")).to_be_visible()  # the recipe has arrived everywhere
    rate = setting(page, "learning_rate")
    rate.fill("0.0001")
    rate.press("Tab")
    name = page.get_by_label(EN["recipe_name"])
    expect(page.locator("#train-rate input")).to_have_value("-4")
    name.fill("slow and <b>short</b>")
    name.press("Enter")
    expect(radio("slow and")).to_be_checked()
    radio(EN["recipe_balanced"]).check()
    expect(rate).to_have_value("0.0005")
    page.reload()
    radio("slow and").check()
    expect(rate).to_have_value("0.0001")
    page.get_by_role("button", name=f"{EN['delete']}: slow and").click()
    expect(radio("slow and")).to_have_count(0)
    page.locator("#train-recipes").get_by_role("button", name=EN["undo"]).click()
    expect(radio("slow and")).to_be_checked()


def test_model_of_the_models_page_opens_a_form(new_page: Callable[..., Any], studio: Studio) -> None:
    page = new_page()
    page.goto(f"{studio.url}/en/models")
    row = page.get_by_role("row").filter(has_text="Qwen2.5-3B-Instruct")
    expect(row).to_contain_text("10-12 GB")
    row.get_by_role("button", name=re.compile(f"^{EN['choose']}")).click()
    expect(page.locator(".fs-chosen")).to_contain_text("Qwen2.5-3B-Instruct")
    page.goto(f"{studio.url}/en/settings")
    expect(page.locator(".fs-about")).to_contain_text(str(studio.home.path))
    page.goto(f"{studio.url}/zh/help")
    expect(page.get_by_role("heading", name=texts("page", "zh")["help"])).to_be_visible()


def test_settings_are_searched_and_reset(new_page: Callable[..., Any]) -> None:
    page = new_page()
    part = page.locator("#train-settings")
    expect(part).to_contain_text(EN["settings_as_preset"])
    search = page.get_by_label(EN["search_settings"])
    search.fill("warmup learning")
    expect(part).to_contain_text("1 setting")
    warmup = setting(page, "warmup_steps")
    expect(warmup).to_be_visible()
    expect(setting(page, "seed")).to_be_hidden()
    preset = warmup.input_value()
    warmup.fill("5")
    warmup.press("Tab")
    expect(part).to_contain_text("1 setting differs from the preset.")
    reset = part.get_by_role("button", name=EN["reset_settings"])
    reset.click()
    expect(warmup).to_have_value(preset)
    part.get_by_role("button", name=EN["undo"]).click()
    expect(warmup).to_have_value("5")
    page.locator("#cfg-warmup-steps .fs-reset").click()
    expect(warmup).to_have_value(preset)
    expect(page.locator(".fs-reset")).to_have_count(0)
    search.fill("")
    expect(setting(page, "seed")).to_be_visible()


def test_runs_are_found_and_several_deleted_with_undo(new_page: Callable[..., Any], studio: Studio) -> None:
    folders = [recorded_run(studio.home, *STOPPED) for _ in range(3)]
    page = new_page()
    page.goto(f"{studio.url}/en/runs")
    rows = page.locator("tbody tr")
    page.get_by_label(EN["search_runs"]).fill(folders[1].id)
    expect(rows).to_have_count(1)
    page.get_by_label(EN["search_runs"]).fill("nothing like it")
    page.get_by_text(EN["no_runs_match"]).wait_for()
    page.get_by_label(EN["search_runs"]).fill("")
    for folder in folders[:2]:
        page.get_by_role("checkbox", name=folder.id).check()
    page.get_by_role("button", name="Delete 2 runs").click()
    page.get_by_text("2 runs were moved to the trash.").wait_for()
    expect(page.get_by_role("link", name=folders[0].id)).to_have_count(0)
    assert not folders[1].path.exists()
    page.get_by_role("button", name=EN["undo"]).click()
    expect(page.get_by_role("link", name=folders[0].id)).to_have_count(1)
    assert folders[1].path.exists()


def test_runs_have_tags_notes_and_a_trash(new_page: Callable[..., Any], studio: Studio) -> None:
    folder = recorded_run(studio.home, *STOPPED)
    page = new_page()
    page.goto(f"{studio.url}/en/run?run={folder.id}")
    page.get_by_label(EN["tags"]).fill("keep, <b>best</b>")
    page.get_by_label(EN["note"]).fill("lower rate next time")
    page.keyboard.press("Tab")
    page.goto(f"{studio.url}/en/runs")  # at once: what was said isn't lost
    row = page.locator(".fs-runs tbody tr", has_text=folder.id)
    expect(row).to_contain_text("lower rate next time")
    row.get_by_role("button", name="#<b>best</b>").click()
    expect(page.get_by_label(EN["search_runs"])).to_have_value("#<b>best</b>")
    expect(page.locator(".fs-runs tbody tr")).to_have_count(1)
    row.get_by_role("button", name=EN["delete"]).click()
    page.get_by_role("button", name=re.compile("^Trash")).click()
    trash = page.get_by_role("dialog", name=EN["trash"])
    trash.get_by_role("button", name=f"{EN['restore']}: {folder.id}").click()
    page.keyboard.press("Escape")
    expect(row).to_have_count(1)
    row.get_by_role("button", name=EN["delete"]).click()
    page.get_by_role("button", name=re.compile("^Trash")).click()
    page.once("dialog", lambda dialog: dialog.accept())
    trash.get_by_role("button", name=EN["trash_empty"]).click()
    trash.get_by_text(EN["trash_is_empty"]).wait_for()
    assert not list(studio.home.trash.iterdir())


def test_ticked_runs_are_compared_at_an_address_that_can_be_kept(new_page: Callable[..., Any], studio: Studio) -> None:
    measured = Evaluated(step=3, loss=0.5, examples=3, seconds=0.1)
    first = recorded_run(studio.home, *STOPPED[:3], measured, STOPPED[3], learning_rate=0.0011)
    second = recorded_run(studio.home, *STOPPED, learning_rate=0.0022)
    rename_run(first, "slow")
    rename_run(second, "<b>fast</b>")
    page = new_page()
    page.goto(f"{studio.url}/en/runs")
    for name in ("slow", "<b>fast</b>"):
        expect(page.get_by_role("link", name=re.compile("^Compare"))).to_be_hidden()
        page.get_by_label(EN.of("choose_run", name=name)).check()
    page.get_by_role("link", name="Compare 2 runs").click()
    page.wait_for_function("Number(document.querySelector('.fs-chart')?.dataset.points) === 6")
    settings = page.get_by_role("region", name=EN["compared_settings"]).locator("tbody tr")
    expect(settings.filter(has_text="learning_rate")).to_contain_text(re.compile("0.0011.*0.0022"))
    expect(page.get_by_text("0.5000 (3)")).to_be_visible()
    page.get_by_role("radio", name=EN["over_tokens"], exact=True).check()
    page.wait_for_function("document.querySelector('.fs-chart').data[0].x[0] > 1")
    page.reload()
    page.wait_for_function("Number(document.querySelector('.fs-chart')?.dataset.points) === 6")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="CSV").click()
    assert "learning_rate,0.0011,0.0022" in Path(downloading.value.path()).read_text()
    page.goto(f"{studio.url}/en/compare?runs={first.id},20200101-000000-abcd")
    page.get_by_text("1 run is not in this studio: 20200101-000000-abcd").wait_for()
    page.goto(f"{studio.url}/zh/compare")
    page.locator(".fs-compare").get_by_role("link", name=texts("page", "zh")["runs"]).click()
    page.wait_for_url("**/zh/runs")


def test_duplicate_opens_the_form_with_the_runs_settings(new_page: Callable[..., Any], studio: Studio) -> None:
    folder = recorded_run(studio.home, *STOPPED, learning_rate=0.00321)
    page = new_page()
    page.goto(f"{studio.url}/en/run?run={folder.id}")
    page.get_by_role("link", name=EN["duplicate"], exact=True).click()
    expect(setting(page, "learning_rate")).to_have_value("0.00321")


def test_curves_are_switched_zoomed_in_detail_and_downloaded(new_page: Callable[..., Any], studio: Studio) -> None:
    events = [step(number, 6000, loss=3 / number) for number in range(1, 6001)]
    saved = CheckpointCommitted(step=6000, path="checkpoints/step-0006000", size_bytes=5)
    losses = [Evaluated(step=at, loss=at / 1000, examples=3, seconds=0.1) for at in (2000, 4000, 6000)]
    folder = recorded_run(
        studio.home, *events, *losses, saved, Stopped(step=6000, resumable=False), learning_rate=0.0123
    )
    folder.checkpoint(6000).mkdir(parents=True)
    (folder.checkpoint(6000) / "adapter_config.json").write_text("{}")
    (folder.checkpoint(6000) / "optimizer.pt").write_text("only a resume needs it")
    folder.log.write_text("first\nA WARNING of old\n" + "more\n" * 20_000)
    page = new_page()
    page.goto(f"{studio.url}/en/run?run={folder.id}")
    page.wait_for_function("document.querySelector('.fs-chart')?.data?.length > 2")
    drawn = "document.querySelector('.fs-chart')"
    assert page.evaluate(f"{drawn}.data.find((one) => one.name === 'best').x[0]") == 2000
    expect(page.locator(".fs-key-settings")).to_contain_text("learning_rate 0.0123")
    # Zoomed in, every step is there, and a redraw keeps the zoom.
    page.evaluate(f"Plotly.relayout({drawn}, {{'xaxis.range[0]': 3000, 'xaxis.range[1]': 3400}})")
    every = [str(number) for number in range(3000, 3401)]
    page.wait_for_function(f"[{','.join(every)}].every((step) => {drawn}.data[0].x.includes(step))")
    page.get_by_label(EN["smoothing"]).fill("0.5")
    page.wait_for_function(f"{drawn}.data.some((one) => one.name === '{EN['smoothed']}')")
    assert page.evaluate(f"Math.round({drawn}.layout.xaxis.range[0])") == 3000
    page.get_by_role("button", name=EN["zoom_out"]).click()
    page.wait_for_function(f"{drawn}.data[0].x[0] === 1")
    page.get_by_role("radio", name=EN["curve_learning_rate"]).check()
    page.wait_for_function(f"{drawn}.data[0].y[0] === 0.001")
    page.get_by_role("radio", name=EN["over_tokens"], exact=True).check()
    page.wait_for_function(f"{drawn}.data[0].x[0] === 50")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="CSV").click()
    assert len(Path(downloading.value.path()).read_text().splitlines()) == 6001
    with page.expect_download() as downloading:
        page.get_by_role("button", name="PNG").click()
    assert Path(downloading.value.path()).read_bytes().startswith(b"\x89PNG")
    # Its checkpoints, its settings, its log.
    page.get_by_role("tab", name=EN["checkpoints"]).click()
    with page.expect_download() as downloading:
        page.get_by_role("link", name=EN["download_adapter"]).last.click()
    assert zipfile.ZipFile(downloading.value.path()).namelist() == ["adapter_config.json"]
    page.get_by_role("tab", name=EN["settings_of_run"]).click()
    expect(page.get_by_role("row", name="learning_rate 0.0123")).to_be_visible()
    page.get_by_role("tab", name=EN["log"], exact=True).click()
    page.get_by_label(EN["search_log"]).fill("warning")
    expect(page.locator("#fs-run-panel-log pre")).to_have_text("2: A WARNING of old")


def test_run_is_renamed_and_found_by_keyboard(new_page: Callable[..., Any], studio: Studio) -> None:
    folder = recorded_run(studio.home, *STOPPED)
    page = new_page()
    page.goto(f"{studio.url}/en/run?run={folder.id}")
    page.get_by_role("button", name=EN["rename"]).click()
    field = page.get_by_role("textbox", name=EN["rename"])
    field.fill("An unusual <b>name</b>")
    field.press("Enter")
    expect(page.get_by_role("heading", name="An unusual <b>name</b>")).to_be_visible()
    page.goto(f"{studio.url}/en/datasets")
    page.locator(".fs-library").wait_for()
    page.keyboard.press("Control+k")
    search = page.get_by_role("combobox", name=EN["palette"])
    expect(search).to_be_focused()
    search.fill("unusual")
    expect(page.get_by_role("option", name="An unusual <b>name</b>")).to_have_attribute("aria-selected", "true")
    search.press("Enter")
    page.wait_for_url(f"**/run?run={folder.id}")


def test_shortcuts_are_listed_and_go_to_pages(new_page: Callable[..., Any], studio: Studio) -> None:
    page = new_page()
    page.goto(f"{studio.url}/en/datasets")
    page.locator(".fs-library").wait_for()
    page.keyboard.press("?")
    listed = page.get_by_role("dialog", name=EN["shortcuts"])
    expect(listed).to_contain_text("Ctrl K")
    page.keyboard.press("Escape")
    expect(listed).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/en/runs")


def test_yaml_and_form_are_in_step(new_page: Callable[..., Any]) -> None:
    page = new_page()
    page.get_by_text(EN["yaml_heading"]).click()
    text = page.get_by_label(EN["yaml_heading"])
    rate = setting(page, "learning_rate")
    rate.fill("0.00042")
    rate.press("Tab")
    expect(text).to_have_value(re.compile("learning_rate: 0.00042"))
    text.fill(text.input_value().replace("learning_rate: 0.00042", "learning_rate: fast"))
    page.get_by_role("button", name=EN["yaml_apply"]).click()
    expect(page.locator("#train-yaml-said")).to_contain_text(re.compile(r"Line \d+: learning_rate is 'fast'"))
    expect(rate).to_have_value("0.00042")
    text.fill(text.input_value().replace("learning_rate: fast", "learning_rate: 0.00021"))
    page.get_by_role("button", name=EN["yaml_apply"]).click()
    expect(rate).to_have_value("0.00021")
    expect(page.locator("#train-yaml-said")).to_be_hidden()
