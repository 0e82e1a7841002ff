"""The queue in the browser: seen, put in another order, left and joined again, paused; and a failure with its fix."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from interfaces.folders import Home, RunFolder
from interfaces.texts import texts
from studio.finetune_manager import FinetuneManager
from studio.processes.launcher import LocalLauncher
from studio.runs.queue import RunQueue
from studio.runs.state import RunState, run_state
from tests.conftest import until
from tests.support.fakes import FakeFineTuneService, fake_trainer_package
from tests.support.served import Studio

pytestmark = pytest.mark.story
EN = texts("page")
sync_api = pytest.importorskip("playwright.sync_api", reason="not installed: make setup")
expect = sync_api.expect


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    environment = fake_trainer_package(tmp_path_factory.mktemp("fake"))
    with pytest.MonkeyPatch.context() as patch:  # runs are started by this process too
        for name, value in environment.items():
            patch.setenv(name, value)
        served = Studio(Home(tmp_path_factory.mktemp("queue")), "--no-warm-trainer")
        yield served
    served.kill()
    for path in served.home.runs.glob("*"):
        LocalLauncher().signal(RunFolder(path), signal.SIGKILL)


def submitted(home: Home, script: str) -> RunFolder:
    manager = FinetuneManager(FakeFineTuneService(), home)
    folder = home.run(manager.create_task({"model_name": "fake", "dataset": "rows", "name": script}))
    RunQueue(home).submit(folder)
    return folder


def waiting(home: Home) -> list[str]:
    return [one.run for one in RunQueue(home).waiting()]


def test_queue_is_controlled_from_the_page(new_page: Callable[..., Any], studio: Studio, tmp_path: Path) -> None:
    home = studio.home
    first, a, b = (submitted(home, script) for script in ("waits", "finishes", "finishes"))
    page = new_page()
    page.goto(f"{studio.url}/en/runs")
    queue = page.locator("#runs-queue")
    rows = queue.locator("tbody tr")
    rows.nth(1).wait_for()
    queue.get_by_text(first.id).wait_for()
    page.screenshot(path=tmp_path / "queue.png", full_page=True)
    dark = new_page("zh-CN", color_scheme="dark", viewport={"width": 360, "height": 800})
    dark.goto(f"{studio.url}/zh/runs")
    dark.locator("#runs-queue tbody tr").nth(1).wait_for()
    assert dark.evaluate("document.documentElement.scrollWidth <= innerWidth")
    dark.screenshot(path=tmp_path / "queue-dark-narrow.png", full_page=True)

    rows.nth(0).get_by_role("button", name=EN["queue_down"]).focus()
    page.keyboard.press("Enter")
    queue.get_by_text(EN["queue_moved"].format(name="finishes", position=2)).wait_for()
    assert rows.nth(0).locator(f"a[href*='{b.id}']").count() == 1  # the rows are never older than what is said of them
    until(lambda: waiting(home) == [b.id, a.id])
    rows.nth(0).get_by_role("button", name=EN["queue_leave"]).click()
    queue.get_by_role("button", name=EN["undo"]).wait_for()
    until(lambda: waiting(home) == [a.id])
    assert run_state(b) is RunState.STOPPED
    page.keyboard.press("Enter")  # Undo has the focus, and gives the place back
    until(lambda: waiting(home) == [b.id, a.id])
    page.wait_for_function("(key) => document.activeElement.dataset.key === key", arg=f"{b.id}-leave")
    rows.nth(1).locator(f"a[href*='{a.id}']").wait_for()
    rows.nth(1).get_by_role("button", name=EN["queue_up"]).press("Enter")
    until(lambda: waiting(home) == [a.id, b.id])
    page.wait_for_function("document.activeElement.dataset.key?.endsWith('-down')")  # at the top there is no Up

    page.goto(f"{studio.url}/en/run?run={b.id}")
    page.get_by_text(f"Position 2 of 2 in the queue. cpu is in use by {first.id}.").wait_for()
    page.screenshot(path=tmp_path / "waiting.png", full_page=True)
    page.get_by_role("button", name=EN["queue_leave"]).click()
    page.locator(".fs-part .fs-state[data-state=stopped]").wait_for()
    page.get_by_role("button", name=EN["begin"], exact=True).click()
    page.locator(".fs-part .fs-state[data-state=queued]").wait_for()

    page.goto(f"{studio.url}/en/runs")
    rows.nth(1).drag_to(rows.nth(0))
    until(lambda: waiting(home) == [b.id, a.id])
    rows.nth(1).locator(f"a[href*='{a.id}']").wait_for()
    rows.nth(0).drag_to(rows.nth(1))
    until(lambda: waiting(home) == [a.id, b.id])
    queue.get_by_role("button", name=EN["queue_pause"]).click()
    queue.get_by_text(EN["queue_paused"]).wait_for()
    (first.path / "go on").touch()
    page.locator("#runs-list .fs-state[data-state=finished]").wait_for()
    page.locator(".fs-toast", has_text=EN["state_finished"]).wait_for()  # of the run that had the device
    until(lambda: LocalLauncher().find(first) is None)
    assert waiting(home) == [a.id, b.id]
    queue.get_by_role("button", name=EN["queue_resume"]).click()
    page.wait_for_function("document.querySelectorAll('#runs-list .fs-state[data-state=finished]').length === 3")
    queue.locator("section").wait_for(state="hidden")


def test_out_of_memory_run_is_retried_with_fix(new_page: Callable[..., Any], studio: Studio, tmp_path: Path) -> None:
    failed = submitted(studio.home, "out of memory")
    page = new_page()
    page.goto(f"{studio.url}/en/run?run={failed.id}")
    page.locator(".fs-problem").get_by_text("Out of memory on cuda with batch size 4").wait_for()
    page.get_by_text(EN["evidence"]).click()
    page.get_by_text("CUDA out of memory. Tried to allocate").wait_for()
    page.screenshot(path=tmp_path / "failed.png", full_page=True)
    dark = new_page("zh-CN", color_scheme="dark", viewport={"width": 360, "height": 800})
    dark.goto(f"{studio.url}/zh/run?run={failed.id}")
    dark.get_by_text(texts("page", "zh")["evidence"]).wait_for()
    assert dark.evaluate("document.documentElement.scrollWidth <= innerWidth")
    dark.screenshot(path=tmp_path / "failed-dark-narrow.png", full_page=True)
    page.get_by_role("button", name=EN["try_again"].format(changes="")).click()
    page.wait_for_url(lambda url: failed.id not in url)
    again = yaml.safe_load(studio.home.run(page.url.partition("run=")[2]).config.read_text())
    before = yaml.safe_load(failed.config.read_text())
    assert {name: value for name, value in again.items() if value != before[name]} == {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 8,
    }


WATCHED = """
Object.defineProperty(document, "hidden", { get: () => window.elsewhere === true });
window.news = [];
window.Notification = class extends Notification { constructor(title, more) { super(title, more); window.news.push([title, more.body]); } };
"""


def test_background_tab_notifies_about_finished_run(new_page: Callable[..., Any], studio: Studio) -> None:
    folder = submitted(studio.home, "waits")
    page = new_page()
    page.add_init_script(WATCHED)
    page.goto(f"{studio.url}/en/run?run={folder.id}")
    page.locator(".fs-part .fs-state[data-state=running]").wait_for()
    page.get_by_role("button", name=EN["notify_me"]).wait_for()
    page.context.grant_permissions(["notifications"], origin=studio.url)  # what a click on the button would ask for
    page.get_by_role("button", name=EN["notify_me"]).wait_for(state="hidden")
    page.evaluate("window.elsewhere = true")
    (folder.path / "go on").touch()
    page.wait_for_function("window.news.length > 0")
    assert page.evaluate("window.news") == [["waits: finished", "Loss 0.3333"]]


def test_sweep_is_one_row_survives_a_killed_studio_and_ends_with_a_table(
    new_page: Callable[..., Any], studio: Studio, tmp_path: Path
) -> None:
    home = studio.home
    RunQueue(home).pause()
    page = new_page(tolerate=r"status of (?!500)|net::ERR_")  # while the studio is down
    page.goto(f"{studio.url}/en/")
    page.get_by_role("button", name=EN["take_sample"]).click()
    page.get_by_text(re.compile("100 of 100")).first.wait_for()
    page.get_by_role("button", name=EN["sweep_open"]).click()
    dialog = page.get_by_role("dialog", name=EN["sweep_title"])
    rates = dialog.get_by_label(EN["sweep_values"]).first
    rates.fill("1e-4, 2e-4, fast")
    dialog.get_by_text("learning_rate is 'fast'").wait_for()
    rates.fill("1e-4, 2e-4")
    page.screenshot(path=tmp_path / "sweep-form.png")
    dialog.get_by_role("button", name="Start 4 runs").click()
    page.wait_for_url("**/en/sweep?*")
    table = page.get_by_role("region", name=EN["sweep"]).locator("tbody tr")
    expect(table).to_have_count(4)
    expect(page.get_by_text("4 runs · 4 queued")).to_be_visible()

    studio.kill()
    studio.start()
    page.goto(studio.link)
    page.goto(f"{studio.url}/en/runs")
    waiting_row = page.locator("#runs-queue tbody tr").filter(has_text="4 runs wait")
    waiting_row.wait_for()
    row = page.locator(".fs-runs tbody tr").filter(has_text="Sweep · 4 runs")
    expect(row).to_have_count(1)
    waiting_row.get_by_role("button", name=re.compile(EN["sweep_stop"])).click()
    expect(row).to_contain_text("4 stopped")
    row.get_by_role("link").first.click()
    page.get_by_role("button", name=EN["sweep_resume"]).click()
    expect(page.get_by_text("4 runs · 4 queued")).to_be_visible()
    RunQueue(home).resume()
    expect(page.get_by_text("4 runs · 4 finished")).to_be_visible()
    expect(page.get_by_text(EN["sweep_no_validation"])).to_be_visible()
    page.screenshot(path=tmp_path / "sweep.png", full_page=True)
    page.get_by_role("link", name="Compare the best 4 runs").click()
    settings = page.get_by_role("region", name=EN["compared_settings"]).locator("tbody tr")
    expect(settings.filter(has_text="learning_rate")).to_contain_text(re.compile("0.0001.*0.0002"))
    page.go_back()
    page.get_by_role("button", name=EN["sweep_delete"]).click()
    page.get_by_role("button", name=EN["undo"]).click()
    expect(page.get_by_text("4 runs · 4 finished")).to_be_visible()
