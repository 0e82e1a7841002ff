"""What a page offers when a run did not end by itself: going on, stopping with a countdown, starting again, training further."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from interfaces.events import Started, Stopped, read_events
from interfaces.folders import Home, RunFolder
from interfaces.texts import texts
from studio.finetune_manager import FinetuneManager
from studio.processes.launcher import LocalLauncher
from studio.runs.supervised_trainer import SupervisedTrainer
from tests.conftest import alpaca_rows, until, write_rows
from tests.faults.rig import job
from tests.story.conftest import setting
from tests.support.served import Studio

pytestmark = pytest.mark.story


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    home = Home(tmp_path_factory.mktemp("rescue"))
    served = Studio(home, "--no-warm-trainer")
    yield served
    served.kill()
    for path in home.runs.glob("*"):
        LocalLauncher().signal(RunFolder(path), signal.SIGKILL)


def started(studio: Studio, model: Path, folder: Path, **settings: Any) -> RunFolder:
    """A run of the two-layer model, as the terminal starts it, with some steps behind it."""
    from studio.datasets.library import with_datasets

    rows = write_rows(folder / "rows.jsonl", alpaca_rows(54))
    manager = FinetuneManager(SupervisedTrainer(), studio.home)
    config = {**job(model, rows), "num_train_epochs": 900, "save_steps": 40, "eval_steps": 5000, **settings}
    run = studio.home.run(manager.create_task(with_datasets(studio.home, config)))
    manager.launch(run.id)
    until(lambda: any(run.checkpoints.glob("step-*")))
    return run


@pytest.mark.long  # faults/test_studio_kills has it without a browser
def test_interrupted_run_resumes_with_one_click(
    new_page: Callable[..., Any], studio: Studio, tiny_model: Path, tmp_path: Path
) -> None:
    run = started(studio, tiny_model, tmp_path, name="Lantern")
    assert LocalLauncher().signal(run, signal.SIGKILL)
    until(lambda: LocalLauncher().find(run) is None)
    page = new_page()
    offer = page.locator("#train-rescue .fs-offer")
    offer.get_by_text("Lantern").wait_for()
    page.screenshot(path=tmp_path / "offer.png")
    dark = new_page("zh-CN", color_scheme="dark", viewport={"width": 360, "height": 800})
    dark.goto(f"{studio.url}/zh/runs")
    dark.locator("#runs-rescue .fs-offer").get_by_text("Lantern").wait_for()
    assert dark.evaluate("document.documentElement.scrollWidth <= innerWidth")
    dark.screenshot(path=tmp_path / "offer-dark-narrow.png")
    offer.get_by_role("button", name=texts("page")["resume"]).click()
    offer.wait_for(state="hidden")
    page.goto(f"{studio.url}/en/run?run={run.id}")
    page.locator(".fs-state[data-state=running]").wait_for()
    page.get_by_text(re.compile("attempt 2, resumed from step")).wait_for()
    dark.locator("#runs-rescue .fs-offer").wait_for(state="hidden")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name=texts("page")["discard"]).click()
    page.locator(".fs-part .fs-state[data-state=stopped]").wait_for()


def counting_down(route: Any) -> None:
    """What the studio answers while a stop takes its time; here it is over too quickly to be seen."""
    answer = route.fetch()
    body = answer.json()
    body["status"] |= {"state": "stopping", "stop_seconds": 6.4}
    route.fulfill(response=answer, json=body)


@pytest.mark.long  # studio/test_finetune_manager has each without a browser
def test_stopped_run_can_resume_rerun_and_continue_training(
    new_page: Callable[..., Any], studio: Studio, tiny_model: Path, tmp_path: Path
) -> None:
    words = texts("page")
    run = started(studio, tiny_model, tmp_path, per_device_train_batch_size=16, save_steps=5)
    page = new_page()
    page.goto(f"{studio.url}/en/run?run={run.id}")
    page.locator(".fs-state[data-state=running]").wait_for()
    page.route("**/events?*", counting_down)
    page.get_by_text("done within 7 s").wait_for()
    page.unroute("**/events?*")
    page.get_by_role("button", name=words["stop"]).click()
    page.locator(".fs-state[data-state=stopped]").wait_for()
    reported = read_events(run.events)
    assert isinstance(reported[-1], Stopped)
    assert page.locator("#fact-saved_step").inner_text() == str(reported[-1].step)
    page.screenshot(path=tmp_path / "stopped.png", full_page=True)

    page.get_by_role("button", name=words["resume"]).click()
    page.locator(".fs-state[data-state=running]").wait_for()
    assert [event for event in read_events(run.events) if isinstance(event, Started)][-1].resumed_from_step == reported[
        -1
    ].step
    page.get_by_role("button", name=words["stop"]).click()
    page.locator(".fs-state[data-state=stopped]").wait_for()

    page.get_by_role("button", name=words["retry"]).click()
    page.wait_for_url(lambda url: run.id not in url)
    again = studio.home.run(page.url.partition("run=")[2])
    page.locator(".fs-state[data-state=running]").wait_for()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name=words["discard"]).click()
    page.locator(".fs-state[data-state=stopped]").wait_for()
    assert yaml.safe_load(again.config.read_text()) == yaml.safe_load(run.config.read_text())

    page.goto(f"{studio.url}/en/run?run={run.id}")
    page.get_by_role("link", name=words["continue_training"]).click()
    page.get_by_text(f"Training starts from the adapter of {run.id}").wait_for()
    page.screenshot(path=tmp_path / "further.png", full_page=True)
    setting(page, "num_train_epochs").fill("1")
    page.get_by_role("button", name=words["start"]).click()
    page.wait_for_url("**/run?run=*")
    page.locator(".fs-part .fs-state[data-state=finished]").wait_for(timeout=300_000)
    further = studio.home.run(page.url.partition("run=")[2])
    page.goto(f"{studio.url}/en/")  # the next run is another matter
    page.get_by_text(words["ready"].split("{")[0]).wait_for()
    assert "starts from the adapter" not in page.locator("#train-review").inner_text()
    assert yaml.safe_load(further.config.read_text())["adapter_name_or_path"] == run.id
    assert (further.first_adapter / "adapter_model.safetensors").is_file()
