"""A trainer waits behind the page: said with its memory, taken by the next run, freed by a click, and by the end of the studio."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Finished, Step, read_events
from interfaces.files import read_json
from interfaces.folders import Home
from interfaces.process import ProcessIdentity
from interfaces.texts import texts
from studio.processes.warm_trainer import end_warm_trainer
from tests.conftest import SAMPLES, until
from tests.story.conftest import setting
from tests.support.served import Page, Studio

pytestmark = [pytest.mark.story, pytest.mark.long]  # studio/processes/test_warm_trainer has the pair without the page


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, starter_home: Home) -> Iterator[Studio]:
    """A studio as a person starts it: with a warm trainer."""
    home = Home(tmp_path_factory.mktemp("warm"))
    home.models.mkdir()
    home.starter.symlink_to(starter_home.starter.resolve(), target_is_directory=True)
    served = Studio(home)
    yield served
    served.kill()
    end_warm_trainer(home)


def waiting(studio: Studio) -> ProcessIdentity | None:
    return ProcessIdentity.from_record((read_json(studio.home.warm_trainer.record) or {}).get("trainer"))


def test_next_run_uses_the_warm_trainer(new_page: Callable[..., Any], studio: Studio, tmp_path: Path) -> None:
    words = texts("page")
    page = new_page(tolerate="net::ERR_")  # which is what a killed studio looks like to a page
    said = page.locator("#train-warm-trainer .fs-hint")
    said.get_by_text("half an hour").wait_for()
    assert "MB" in said.inner_text()
    first = waiting(studio)
    assert first is not None

    # The studio's end is not its end.
    studio.kill()
    studio.start()
    assert first.is_alive()
    page.goto(studio.link)
    said.get_by_text("half an hour").wait_for()
    assert waiting(studio) == first
    said.scroll_into_view_if_needed()
    page.screenshot(path=tmp_path / "warm.png")

    page.set_input_files("#fs-file", SAMPLES / "lumo-support-chat.jsonl")
    page.get_by_text(words["ready"].split("{")[0]).wait_for()
    setting(page, "num_train_epochs").fill("1")
    page.get_by_role("button", name=words["start"]).click()
    page.wait_for_url("**/run?run=*")
    page.locator(".fs-part .fs-state[data-state=finished]").wait_for(timeout=300_000)
    folder = studio.home.run(page.url.partition("run=")[2])
    assert ProcessIdentity.from_record((read_json(folder.attempts()[0].pid) or {})["trainer"]) == first
    reported = read_events(folder.events)
    assert isinstance(reported[-1], Finished)
    assert any(isinstance(event, Step) for event in reported)

    # Another waits for the next; a person may have its memory back.
    page.goto(f"{studio.url}/en/")
    said.get_by_text("half an hour").wait_for()
    second = waiting(studio)
    assert second not in (None, first)
    page.get_by_role("button", name=words["warm_trainer_free"]).click()
    said.wait_for(state="hidden")
    until(lambda: not second.is_alive())


def test_ending_the_studio_frees_the_warm_trainer(tmp_path: Path) -> None:
    ended = Studio(Home(tmp_path / "home"))
    Page(ended).ask("/api/warm-trainer", "POST")
    trainer = waiting(ended)
    assert trainer is not None
    ended.process.terminate()
    ended.process.wait(30)
    until(lambda: not trainer.is_alive())
