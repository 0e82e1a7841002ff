"""Will it fit, in the browser: the bar and the badges move with the settings, and 'Make it fit' does what it says."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Finished, read_events
from interfaces.presets import PRESETS
from interfaces.texts import texts
from studio.finetune_manager import FinetuneManager
from studio.runs.state import RunState, run_state
from studio.runs.supervised_trainer import SupervisedTrainer
from studio.sizing.calibration import estimate_of_run
from studio.sizing.devices import detect_devices, usable_device
from tests.conftest import SAMPLES, until
from tests.story.conftest import setting
from tests.support.records import add_run
from tests.support.served import Studio

sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")
pytestmark = pytest.mark.story
EN = texts("page")
TOTAL = "Number(document.querySelector('.fs-fit').dataset.total)"


def level_is(page: Any, *levels: str) -> None:
    page.wait_for_function(f"{list(levels)}.includes(document.querySelector('.fs-fit')?.dataset.level)")
    page.get_by_role("heading", name=EN["fit_heading"]).wait_for()  # the page appears as a whole


def set_number(page: Any, label: str, value: int) -> None:
    field = setting(page, label)
    field.fill(str(value))
    field.press("Tab")


def badge(page: Any, model: str) -> Any:
    """What the list of models says of one; it is drawn while the sheet is open."""
    return page.locator(".fs-models tr").filter(has_text=model).locator(".fs-badge")


def test_bar_and_badges_follow_the_settings(new_page: Callable[..., Any], tmp_path: Path) -> None:
    page = new_page()
    level_is(page, "fits", "tight", "too_big")
    before = page.evaluate(TOTAL)
    change = page.get_by_role("button", name=EN["model_change"], exact=True)
    change.click()
    shown = badge(page, "Qwen2.5-0.5B-Instruct").inner_text()
    page.keyboard.press("Escape")
    set_number(page, "max_length", 2048)
    page.wait_for_function(f"{TOTAL} > {before}")
    change.click()
    sync_api.expect(badge(page, "Qwen2.5-0.5B-Instruct")).not_to_have_text(shown)
    page.keyboard.press("Escape")
    label = page.locator(".fs-memory").get_attribute("aria-label")
    assert EN["part_weights"] in label
    assert EN["part_activations"] in label
    # Something wrong in the form is said there, and the bar waits.
    set_number(page, "max_length", 3)
    page.get_by_text(EN["fit_settings"]).wait_for()
    set_number(page, "max_length", 512)
    page.wait_for_function(f"{TOTAL} === {before}")
    page.locator("#train-fit").screenshot(path=tmp_path / "fit.png")


def test_each_preset_shows_its_estimate(new_page: Callable[..., Any]) -> None:
    page = new_page()
    level_is(page, "fits", "tight", "too_big")
    summary = page.get_by_text(EN["fit_presets"])
    summary.focus()
    page.keyboard.press("Enter")
    rows = page.locator(".fs-fit tr").filter(has=page.locator(".fs-badge"))
    assert rows.count() == len(PRESETS)
    assert "Qwen2.5-0.5B-Instruct" in rows.filter(has_text="minimal").inner_text()
    assert EN["fits"] in rows.filter(has_text="laptop_cpu").inner_text()


@pytest.fixture
def fast_machine(studio: Studio) -> Iterator[None]:
    """A run has shown that this machine is fast enough for what is asked of it."""
    device = usable_device(detect_devices())
    folder = add_run(studio.home, "20260101-fast", 1.0, device_name=device.name, tokens=1_000_000)
    yield
    shutil.rmtree(folder.path)


def test_impractical_changes_are_shown_but_not_suggested(new_page: Callable[..., Any]) -> None:
    page = new_page()
    level_is(page, "fits")
    set_number(page, "per_device_train_batch_size", 64)
    set_number(page, "max_length", 8192)
    level_is(page, "too_big")
    page.get_by_text("a single step would take").wait_for()
    assert not page.get_by_role("button", name=EN["fit_make"], exact=True).is_visible()
    set_number(page, "per_device_train_batch_size", 4)
    set_number(page, "max_length", 512)


@pytest.mark.usefixtures("fast_machine")
def test_make_it_fit_changes_the_form_and_can_be_undone(new_page: Callable[..., Any]) -> None:
    page = new_page()
    level_is(page, "fits")
    set_number(page, "per_device_train_batch_size", 64)
    set_number(page, "max_length", 8192)
    level_is(page, "too_big")
    page.get_by_role("button", name=EN["fit_make"], exact=True).click()
    level_is(page, "fits")
    batch = setting(page, "per_device_train_batch_size")
    assert int(batch.input_value()) < 64
    page.locator("#train-fit").get_by_role("button", name=EN["undo"]).click()
    level_is(page, "too_big")
    assert batch.input_value() == "64"
    set_number(page, "per_device_train_batch_size", 4)
    set_number(page, "max_length", 512)


def test_saving_is_applied_with_one_click(new_page: Callable[..., Any]) -> None:
    page = new_page()
    level_is(page, "fits")
    before = page.evaluate(TOTAL)
    page.get_by_text(EN["fit_savings"]).click()
    page.locator(".fs-fit tr").filter(has_text="gradient_checkpointing").get_by_role(
        "button", name=EN["fit_apply"]
    ).click()
    page.wait_for_function(f"{TOTAL} < {before}")
    page.get_by_text(EN["fit_recomputed"]).wait_for()
    page.locator("#train-fit").get_by_role("button", name=EN["undo"]).click()
    page.wait_for_function(f"{TOTAL} === {before}")


@pytest.mark.long  # in the terminal: studio/cli/test_estimate
def test_timed_steps_show_duration_and_measured_peak(
    new_page: Callable[..., Any], studio: Studio, tmp_path: Path
) -> None:
    before = set(studio.home.runs.glob("*"))
    page = new_page()
    page.set_input_files("#fs-file", SAMPLES / "lumo-support-chat.jsonl")
    page.get_by_text(EN["ready"].split("{")[0]).wait_for()
    page.wait_for_function(
        "document.querySelector('.fs-fit').innerText.includes('The largest batch has')"
    )  # the rows' own lengths
    part = page.locator("#train-fit")
    time_it = part.get_by_role("button", name=EN["fit_timing"], exact=True)
    time_it.wait_for()
    part.screenshot(path=tmp_path / "unknown.png")
    time_it.click()
    part.get_by_text(EN["fit_timing_run"]).wait_for()
    assert time_it.is_disabled()
    part.screenshot(path=tmp_path / "timing.png")
    # One that is stopped has taught nothing, and can be asked for again.
    run = part.locator("a[href*='run?run=']").inner_text()
    FinetuneManager(SupervisedTrainer(), studio.home).request_stop(run, discard=True)
    part.get_by_text(EN["fit_timing_over"].format(state=EN["state_stopped"])).wait_for()
    before |= set(studio.home.runs.iterdir())
    time_it.click()
    part.get_by_text(EN["fit_timing_run"]).wait_for()
    page.wait_for_function(
        "/ steps, .+ to /.test(document.querySelector('.fs-summary-line').innerText)", timeout=300_000
    )
    time_it.wait_for(state="hidden")
    part.screenshot(path=tmp_path / "known.png")
    (run,) = set(studio.home.runs.iterdir()) - before
    folder = studio.home.run(run.name)
    until(lambda: run_state(folder) is RunState.FINISHED)
    page.goto(f"{studio.url}/en/run?run={folder.id}")
    page.get_by_text(EN["state_finished"], exact=True).wait_for()
    assert "estimated" in page.locator("#fact-peak_memory").inner_text()
    page.screenshot(path=tmp_path / "peak.png")
    finished = read_events(folder.events)[-1]
    assert isinstance(finished, Finished)
    expected = estimate_of_run(folder)
    assert expected is not None
    estimated = expected.total_bytes
    assert 0.75 < estimated / finished.peak_memory_bytes < 1.35
