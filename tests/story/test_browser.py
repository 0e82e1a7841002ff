"""The main job in a real browser with the real starter: pick, drop, look, start, watch, reload, stop, resume, download."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Step, Stopped, read_events
from interfaces.folders import RunFolder
from interfaces.run_records import RunMeta, SweepPoint
from interfaces.texts import texts
from tests.conftest import SAMPLES, write_rows
from tests.story.conftest import LOOKS, setting
from tests.support.records import kept, recorded_run
from tests.support.served import Studio

pytestmark = pytest.mark.story
sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")


FAULTS_OF_GRADIO: set[str] = set()
"""Rules of axe that Gradio's own elements break."""


def points(page: Any) -> int:
    return int(page.evaluate("Number(document.querySelector('.fs-chart')?.dataset.points || 0)"))


def wait_for_points(page: Any, count: int, timeout: int = 480_000) -> None:
    page.wait_for_function(
        "n => Number(document.querySelector('.fs-chart')?.dataset.points || 0) >= n", arg=count, timeout=timeout
    )


def curve(page: Any) -> list[list[float]]:
    """(step, loss) of the drawn training curve."""
    return page.evaluate(
        "(() => { const t = document.querySelector('.fs-chart').data[0]; return t.x.map((x, i) => [x, t.y[i]]) })()"
    )


def wait_for_state(page: Any, state: str, timeout: int = 480_000) -> None:
    page.locator(f".fs-part .fs-state[data-state={state}]").wait_for(timeout=timeout)


def run_of(page: Any, studio: Studio) -> RunFolder:
    return studio.home.run(page.url.partition("run=")[2])


@pytest.mark.parametrize(("language", "locale"), [("en", "en-US"), pytest.param("zh", "zh-CN", marks=pytest.mark.long)])
def test_main_workflow(
    new_page: Callable[..., Any], studio: Studio, tmp_path: Path, language: str, locale: str
) -> None:
    words, short = texts("page", language), language == "en"
    epochs, steps = ("2", 22) if short else ("3", 69)
    rows = (
        (SAMPLES / ("lumo-lantern.jsonl" if language == "en" else "lumo-lantern-zh.jsonl"))
        .read_text(encoding="utf-8")
        .splitlines()[: 12 if short else 24]
    )
    file = write_rows(tmp_path / "my rows 我的.jsonl", [json.loads(row) for row in rows])
    page = new_page(locale)
    assert page.url == f"{studio.url}/{language}/"

    # Pick, drop, look.
    page.set_input_files("#fs-file", file)
    page.get_by_text(
        words["dataset_line"].format(
            name=file.name, rows=len(rows), format="alpaca" if language == "en" else "sharegpt"
        )
    ).wait_for()
    assert page.locator(".fs-talk").count() == 2
    assert page.locator(".fs-talk mark").first.inner_text().startswith(("The Lumo", "Lumo"))
    page.get_by_text(words["ready"].split("{")[0]).wait_for()
    setting(page, "per_device_train_batch_size").fill("1")
    setting(page, "num_train_epochs").fill(epochs)

    # Start, watch, reload in the middle, a second tab with the same numbers.
    page.get_by_role("button", name=words["start"]).click()
    page.wait_for_url("**/run?run=*")
    wait_for_points(page, 4)
    wait_for_state(page, "running")
    page.reload()
    wait_for_points(page, 7)
    other = page.context.new_page()
    other.goto(page.url)
    wait_for_points(other, 7)
    first, second = curve(page), curve(other)
    shared = min(len(first), len(second))
    assert first[:shared] == second[:shared]
    other.close()

    # Stop, and go on.
    page.get_by_role("button", name=words["stop"]).click()
    wait_for_state(page, "stopped")
    folder = run_of(page, studio)
    assert len(curve(page)) < steps
    page.get_by_role("button", name=words["resume"]).click()
    wait_for_state(page, "finished")
    wait_for_points(page, steps)
    assert [step for step, _ in curve(page)] == list(range(1, steps + 1))
    assert curve(page) == [
        [event.step, event.loss] for event in kept(read_events(folder.events)) if isinstance(event, Step)
    ]

    # Download, and load it in plain PEFT.
    with page.expect_download() as downloading:
        page.get_by_role("link", name=words["download_adapter"], exact=True).click()
    archive = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(archive)
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "README.md"} <= set(
            packed.namelist()
        )
        packed.extractall(tmp_path / "adapter")
    if not short:
        check = (
            "import sys, torch; from peft import PeftModel; from transformers import AutoModelForCausalLM as M\n"
            "base = M.from_pretrained(sys.argv[1], dtype=torch.bfloat16); ids = torch.arange(50)[None]\n"
            "with torch.no_grad():\n before = base(ids).logits\n"
            " after = PeftModel.from_pretrained(base, sys.argv[2])(ids).logits\nprint(bool((before != after).any()))"
        )
        done = subprocess.run(
            [sys.executable, "-c", check, studio.home.starter, tmp_path / "adapter"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == "True"


@pytest.mark.long  # faults/test_studio_kills kills studios without a browser
def test_two_clicks_start_a_run_that_outlives_a_killed_studio(new_page: Callable[..., Any], studio: Studio) -> None:
    page = new_page(tolerate="net::ERR_")  # which is what a killed studio looks like to a page
    page.get_by_role("button", name="Use sample data").click()
    page.get_by_text("Ready:").wait_for()
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/run?run=*")
    wait_for_state(page, "running")
    folder = run_of(page, studio)
    wait_for_points(page, 3)
    studio.kill()
    before = len(read_events(folder.events))
    studio.start()
    page.goto(page.url)  # still logged in: the token is the home's
    wait_for_points(page, 8)
    assert len(read_events(folder.events)) > before
    steps = [step for step, _ in curve(page)]
    assert steps == list(range(1, len(steps) + 1))
    page.get_by_role("table").first.wait_for()  # the base model's answers to questions that aren't in the sample
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Discard").click()
    wait_for_state(page, "stopped", 20_000)


def step(number: int, total: int) -> Step:
    """A falling loss with one spike."""
    return Step(
        step=number, total_steps=total, epoch=1.0, loss=3.0 / number + (number == 4000), learning_rate=1e-3, tokens=9,
        trained_tokens=3, seconds=0.1, memory_bytes=10**9,
    )  # fmt: skip


@pytest.mark.long  # pages/test_app: no tab holds a connection
def test_eight_tabs_update_simultaneously(new_page: Callable[..., Any], studio: Studio) -> None:
    recorded_run(studio.home, Stopped(step=0, resumable=False))
    first = new_page()
    pages = [first, *(first.context.new_page() for _ in range(7))]
    for page in pages[1:]:
        page.goto(f"{studio.url}/en/runs")
    first.goto(f"{studio.url}/en/runs")
    for page in pages:
        page.get_by_role("table").wait_for()
        with page.expect_response("**/api/runs/changes*") as answered:
            page.bring_to_front()
        assert answered.value.status == 200


def test_delete_can_be_undone(new_page: Callable[..., Any], studio: Studio) -> None:
    folder = recorded_run(studio.home, Stopped(step=0, resumable=False))
    page = new_page()
    page.goto(f"{studio.url}/en/runs")
    row = page.locator(".fs-runs tbody tr", has_text=folder.id)
    row.get_by_role("button", name="Delete").click()
    page.get_by_text(f"{folder.id} was deleted.").wait_for()
    sync_api.expect(row).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    row.wait_for()


def test_invalid_file_keeps_the_form(new_page: Callable[..., Any], tmp_path: Path) -> None:
    page = new_page()
    page.get_by_text("No dataset is selected").wait_for()
    for name, content, says in (
        ("a.toml", "x", "ends in '.toml'"),
        ("empty.jsonl", "", "is empty"),
        ("rows.parquet", "x", "has the extension '.parquet', but its content doesn't match"),
    ):
        (tmp_path / name).write_text(content)
        page.set_input_files("#fs-file", tmp_path / name)
        page.locator(".fs-bad .fs-said", has_text=says).wait_for()
    with (tmp_path / "huge.jsonl").open("wb") as file:
        file.truncate(22_000_000_000)
    page.set_input_files("#fs-file", tmp_path / "huge.jsonl")
    page.locator(".fs-bad .fs-said", has_text="huge.jsonl is 22.0 GB, but uploads are limited to 20.0 GB").wait_for()
    sync_api.expect(page.get_by_role("button", name="Start training")).to_be_disabled()
    page.get_by_text("No dataset is selected").wait_for()
    page.get_by_role("button", name="Use sample data").click()
    setting(page, "learning_rate").fill("0.00123")
    page.get_by_text("Ready:").wait_for()
    page.wait_for_function("(localStorage.getItem('finetune-form') || '').length > 100")
    page.reload()
    page.get_by_text("lumo-lantern.jsonl: 100 rows").wait_for()
    sync_api.expect(setting(page, "learning_rate")).to_have_value("0.00123")
    setting(page, "max_length").fill("3")
    page.get_by_text("max_length is 3, but it should be at least 16.").wait_for()


def test_short_and_long_runs_give_useful_curves(new_page: Callable[..., Any], studio: Studio) -> None:
    page = new_page()
    for count in (2, 5000):
        folder = recorded_run(studio.home, *(step(number, count) for number in range(1, count + 1)))
        page.goto(f"{studio.url}/en/run?run={folder.id}")
        wait_for_points(page, min(count, 1000))
        drawn = curve(page)
        assert (drawn[0][0], drawn[-1][0]) == (1, count)
        assert len(drawn) <= 2000
        if count == 5000:
            assert [4000, 3.0 / 4000 + 1] in drawn  # a single spike survives the thinning


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_pages_are_responsive_and_accessible(
    new_page: Callable[..., Any], studio: Studio, scheme: str, width: int
) -> None:
    """No sideways scrolling, and nothing that axe finds against WCAG A or AA, but for Gradio's own faults."""
    from axe_playwright_python.sync_playwright import Axe

    page = new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    run, other = (recorded_run(studio.home, step(1, 2), step(2, 2), Stopped(step=2, resumable=False)) for _ in range(2))
    for number, one in enumerate((run, other), start=1):
        point = SweepPoint(id=run.id, name="facts #1", number=number, runs=2, values={"learning_rate": number / 1000})
        RunMeta(sweep=point).write(one)
    language = "zh" if scheme == "dark" else "en"
    for path, ready in (
        ("", "#train-start"), (f"sweep?sweep={run.id}", ".fs-sweep tbody tr"), (f"run?run={run.id}", ".fs-chart .main-svg"), ("runs", ".fs-runs tbody tr"),
        (f"compare?runs={run.id},{other.id}", ".fs-chart .main-svg"),
        ("models", ".fs-models tbody tr"), ("settings", ".fs-about dd"), ("help", "#help-text h1"),
    ):  # fmt: skip
        page.goto(f"{studio.url}/{language}/{path}")
        page.locator(ready).first.wait_for()
        page.locator(".fs-rail").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]}).response["violations"]
        faults = [(item["id"], item["nodes"][0]["html"][:160]) for item in found if item["id"] not in FAULTS_OF_GRADIO]
        assert faults == [], path


def test_unknown_run_shows_error_without_controls(new_page: Callable[..., Any], studio: Studio) -> None:
    page = new_page(tolerate="status of 404")
    page.goto(f"{studio.url}/en/run?run=20200101-000000-abcd")
    page.get_by_role("alert").get_by_text("20200101-000000-abcd").wait_for()
    assert page.locator(".fs-run button").count() == 0


def test_start_is_blocked_while_new_file_is_checked(new_page: Callable[..., Any], tmp_path: Path) -> None:
    page = new_page()
    page.get_by_role("button", name="Use sample data").click()
    page.get_by_text("Ready:").wait_for()
    page.set_input_files("#fs-file", write_rows(tmp_path / "big.jsonl", [{"prompt": "a", "completion": "b"}] * 20_000))
    page.get_by_text("No dataset is selected").wait_for()
    page.get_by_text("big.jsonl: 20,000 rows").wait_for()
    page.get_by_text("Ready:").wait_for()


def test_start_works_with_keyboard_only(new_page: Callable[..., Any]) -> None:
    page = new_page()
    page.get_by_role("button", name="Use sample data").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Ready:").wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "train-start":
            return
    raise AssertionError("Tab never reached the start button")
