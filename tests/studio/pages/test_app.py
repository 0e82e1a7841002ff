"""The pages as Gradio sees them, without a browser."""

from typing import Any

import pytest

from interfaces import Device
from interfaces.folders import Home
from interfaces.texts import texts
from studio.finetune_manager import FinetuneManager
from tests.support.fakes import FakeFineTuneService

pytestmark = pytest.mark.process


@pytest.fixture(scope="module", params=["en", "zh"])
def pages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    from studio.pages.app import build_pages

    manager = FinetuneManager(FakeFineTuneService(), Home(tmp_path_factory.mktemp("home")))
    return request.param, build_pages(manager, Device("cpu", "a laptop", 16 * 2**30, 2**33), request.param, "s" * 43)


def test_no_tab_holds_a_connection(pages: tuple[str, Any]) -> None:
    assert pages[1].get_config_file()["connect_heartbeat"] is False


def test_ids_are_unique_and_every_event_knows_its_parts(pages: tuple[str, Any]) -> None:
    config = pages[1].get_config_file()
    ids = [part["props"].get("elem_id") for part in config["components"] if part["props"].get("elem_id")]
    assert len(ids) == len(set(ids)) >= 40
    known = {part["id"] for part in config["components"]}
    for event in config["dependencies"]:
        assert set(event["inputs"]) | set(event["outputs"]) <= known
        assert event["queue"] is False or event["js"]


def test_the_labels_are_in_the_page_s_language(pages: tuple[str, Any]) -> None:
    language, built = pages
    labels = {part["props"].get("label") for part in built.get_config_file()["components"]}
    assert {texts("page", language)["preset"], texts("label", language)["learning_rate"]} <= labels


def test_a_form_without_a_model_has_the_starter() -> None:
    from studio.pages.train import config_of

    assert config_of({"model": ""}, "en")["model_name"] == "starter"
    assert config_of({"model": "Qwen/Qwen3-0.6B"}, "en")["model_name"] == "Qwen/Qwen3-0.6B"
