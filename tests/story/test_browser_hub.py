"""Models of the Hub in the browser, against a server of our own: search, look up, download, refusals, a token."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Stopped
from interfaces.folders import Home
from interfaces.run_records import RunMeta
from interfaces.texts import texts
from tests.conftest import write_rows
from tests.story.conftest import name_model
from tests.support.hub_server import COMMIT, Hub, serve
from tests.support.records import recorded_run, step
from tests.support.served import Studio

pytestmark = pytest.mark.story
EN = texts("page")
MODEL, GATED, DATASET = "Qwen/Tiny-Qwen2", "meta/Gated-Model", "me/things"
TOKEN = "hf_a_token_for_this_test"


CARD = """---
configs:
- config_name: colors
  default: true
  data_files:
  - {split: train, path: colors/train.jsonl}
  - {split: validation, path: colors/validation.jsonl}
  - {split: test, path: colors/test.jsonl}
- config_name: animals
  data_files:
  - {split: train, path: animals/train.jsonl}
  - {split: validation, path: animals/validation.jsonl}
  - {split: test, path: animals/test.jsonl}
---
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with two configs and three splits each; the rows say where they are from."""
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "README.md").write_text(CARD)
    for config in ("colors", "animals"):
        (folder / config).mkdir()
        for split, count in (("train", 3), ("validation", 2), ("test", 1)):
            rows = [{"prompt": f"{config} {split} {row}?", "completion": "Yes."} for row in range(count)]
            write_rows(folder / config / f"{split}.jsonl", rows)
    return folder


@pytest.fixture(scope="module")
def hub(tiny_model: Path, dataset: Path) -> Iterator[Hub]:
    with serve({MODEL: tiny_model, GATED: tiny_model, DATASET: dataset}) as served:
        yield served


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, starter_home: Home, hub: Hub) -> Iterator[Studio]:
    home = Home(tmp_path_factory.mktemp("hub"))
    home.models.mkdir()
    home.starter.symlink_to(starter_home.starter.resolve(), target_is_directory=True)
    served = Studio(
        home,
        "--no-warm-trainer",
        environment={"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home.path / "hf"), "HF_HUB_OFFLINE": "0"},
    )
    yield served
    served.kill()


@pytest.fixture(autouse=True)
def as_usual(hub: Hub) -> Iterator[None]:
    yield
    hub.answers.clear()
    hub.bytes_per_second = 0
    hub.silent = hub.damaged = False


def ask_for(page: Any, model: str) -> Any:
    """A model by its name, looked up on the Hub; returns the line that says what is known of it."""
    name_model(page, model)
    page.get_by_text(EN["model_unknown"].format(model=model)).wait_for()
    page.get_by_role("button", name=EN["look_up"]).click()
    return page.locator("#fs-chosen-model")


def test_search_choose_and_download_with_progress(
    new_page: Callable[..., Any], studio: Studio, hub: Hub, tmp_path: Path
) -> None:
    page = new_page()
    page.get_by_role("button", name=EN["model_change"], exact=True).click()
    page.get_by_role("tab", name=EN["models_hub"]).click()
    page.get_by_role("searchbox", name=EN["hub_search"]).fill("tiny")
    page.get_by_role("searchbox", name=EN["hub_search"]).press("Enter")
    row = page.get_by_role("row").filter(has_text=MODEL)
    row.wait_for()
    assert "apache-2.0" in row.inner_text()
    assert "1,234" in row.inner_text()
    row.get_by_role("button").click()
    line = page.locator("#fs-chosen-model")
    page.get_by_role("button", name=EN["look_up"]).click()
    page.get_by_text(re.compile(re.escape(f"{MODEL} is not downloaded yet"))).wait_for()
    # Its shape is known now, and so is what it needs.
    page.wait_for_function("document.querySelector('.fs-fit').dataset.level === 'fits'")
    page.screenshot(path=tmp_path / "found.png")
    hub.bytes_per_second = 400_000
    page.get_by_role("button", name=EN["download_now"]).click()
    page.wait_for_function("document.querySelector('#fs-chosen-model progress').value > 0")
    page.screenshot(path=tmp_path / "downloading.png")
    hub.bytes_per_second = 0
    line.get_by_text(EN["model_here"].format(model=MODEL)).wait_for()
    snapshot = studio.home.path / "hf" / "hub" / "models--Qwen--Tiny-Qwen2" / "snapshots" / COMMIT
    assert (snapshot / "model.safetensors").is_file()
    page.get_by_role("button", name=EN["model_change"], exact=True).click()
    page.get_by_role("tab", name=EN["models_here"]).click()
    page.get_by_role("tabpanel", name=EN["models_here"]).get_by_role("row").filter(has_text=MODEL).wait_for()


def test_gated_model_token_is_sent_and_never_shown(new_page: Callable[..., Any], studio: Studio, hub: Hub) -> None:
    hub.answers[GATED] = 403
    page = new_page()
    line = ask_for(page, GATED)
    line.get_by_text("is gated").wait_for()
    field = page.get_by_label(EN["access_token"])
    field.wait_for()  # opened by itself
    field.fill(TOKEN)
    page.get_by_role("button", name=EN["token_keep"]).click()
    page.get_by_text(re.compile("A token for 127.0.0.1")).wait_for()
    assert field.input_value() == ""
    assert TOKEN not in page.content()
    assert studio.home.secrets.stat().st_mode & 0o777 == 0o600
    hub.answers.clear()
    hub.tokens.clear()
    page.get_by_text(re.compile(re.escape(f"{GATED} is not downloaded yet"))).wait_for()
    assert f"Bearer {TOKEN}" in hub.tokens
    page.get_by_role("button", name=EN["token_forget"]).click()
    page.get_by_text(re.compile("A token for 127.0.0.1")).wait_for(state="hidden")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        pytest.param(404, "Model '", marks=pytest.mark.long),
        (429, "Rate limited by"),
        pytest.param(503, "HTTP 503", marks=pytest.mark.long),
    ],
)
def test_each_hub_error_has_its_message(new_page: Callable[..., Any], hub: Hub, status: int, words: str) -> None:
    model = f"some/refused-{status}"
    hub.answers[model] = status
    page = new_page()
    line = ask_for(page, model)
    line.get_by_text(words).wait_for()


def test_stopped_download_can_be_resumed(new_page: Callable[..., Any], hub: Hub, tiny_model: Path) -> None:
    name = "other/slow-model"
    hub.repositories[name] = tiny_model
    page = new_page()
    line = ask_for(page, name)
    hub.bytes_per_second = 50_000
    page.get_by_role("button", name=EN["download_now"]).click()
    page.wait_for_function("document.querySelector('#fs-chosen-model progress').value > 0")
    page.locator("#fs-chosen-model").get_by_role("button", name=EN["download_stop"]).click()
    page.get_by_role("button", name=EN["download_now"]).wait_for()
    hub.bytes_per_second = 0
    page.get_by_role("button", name=EN["download_now"]).click()
    line.get_by_text(EN["model_here"].format(model=name)).wait_for()


def test_models_page_downloads_resumes_and_deletes(
    new_page: Callable[..., Any], studio: Studio, hub: Hub, tiny_model: Path, tmp_path: Path
) -> None:
    name = "other/page-model-tiny"
    hub.repositories[name] = tiny_model
    page = new_page()
    page.goto(f"{studio.url}/en/models")
    page.get_by_role("tab", name=EN["models_hub"]).click()
    page.get_by_role("searchbox", name=EN["hub_search"]).fill("page-model")
    page.keyboard.press("Enter")
    hub.bytes_per_second = 50_000
    page.get_by_role("button", name=f"{EN['download_now']}: {name}").click()
    downloads = page.locator(".fs-downloads")
    page.wait_for_function("document.querySelector('.fs-downloads progress').value > 0")
    page.reload()  # it continues, and the page shows it again
    page.wait_for_function("document.querySelector('.fs-downloads progress')?.value > 0")
    downloads.get_by_role("button", name=EN["download_stop"]).click()
    hub.bytes_per_second = 0
    downloads.get_by_role("button", name=EN["download_now"]).click()
    downloads.get_by_text(EN["model_here"].format(model=name)).wait_for()
    run = recorded_run(studio.home, step(1, 1), Stopped(step=1, resumable=False))
    RunMeta(model=name).write(run)
    page.get_by_role("tab", name=EN["models_here"]).click()
    row = page.get_by_role("row").filter(has_text=name)
    row.get_by_role("link", name=run.id).wait_for()
    page.screenshot(path=tmp_path / "models.png", full_page=True)
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    row.get_by_role("button", name=f"{EN['delete']}: {name}").click()
    assert "1 run was trained on it" in asked[0]
    page.once("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name=f"{EN['delete']}: {name}").click()
    page.get_by_text(re.compile(f"{name} was deleted, which freed")).wait_for()
    assert not (studio.home.path / "hf" / "hub" / f"models--{name.replace('/', '--')}").exists()


def test_missing_network_is_reported(new_page: Callable[..., Any], hub: Hub) -> None:
    hub.silent = True
    page = new_page()
    ask_for(page, "some/model-far-away").get_by_text("is unreachable").wait_for()
    page.get_by_role("button", name=EN["model_change"], exact=True).click()
    page.get_by_role("tab", name=EN["models_hub"]).click()
    page.get_by_role("button", name=EN["hub_search"]).click()
    page.locator("#fs-models-panel-hub").get_by_text("is unreachable").wait_for()


def test_damaged_download_is_reported(new_page: Callable[..., Any], hub: Hub, studio: Studio, tiny_model: Path) -> None:
    name = "other/damaged-model"
    hub.repositories[name], hub.damaged = tiny_model, True
    page = new_page()
    line = ask_for(page, name)
    page.get_by_role("button", name=EN["download_now"]).click()
    line.get_by_text("is corrupted").wait_for()
    assert not list((studio.home.path / "hf" / "hub" / "models--other--damaged-model").rglob("*.safetensors"))


def test_config_and_split_of_a_dataset_are_chosen(
    new_page: Callable[..., Any], studio: Studio, hub: Hub, tmp_path: Path
) -> None:
    page = new_page()
    page.goto(f"{studio.url}/en/datasets")
    page.get_by_text(EN["elsewhere"]).click()
    page.get_by_label(EN["hub_dataset"]).fill("me/nothing")
    page.keyboard.press("Enter")
    page.locator(".fs-said", has_text="Dataset 'me/nothing'").wait_for()

    page.get_by_label(EN["hub_dataset"]).fill(DATASET)
    page.keyboard.press("Enter")
    config, split = page.get_by_label(EN["hub_config"], exact=True), page.get_by_label(EN["hub_split"], exact=True)
    split.wait_for()
    assert config.locator("option").all_inner_texts() == ["colors", "animals"]
    assert [text.split()[0] for text in split.locator("option").all_inner_texts()] == ["train", "validation", "test"]
    page.get_by_text('"colors train 0?"').wait_for()
    page.screenshot(path=tmp_path / "splits.png", full_page=True)
    config.select_option("animals")
    page.get_by_text('"animals train 0?"').wait_for()
    split.select_option("validation")
    page.locator(".fs-preview").get_by_role("button", name=EN["read_it"]).click()
    page.locator(".fs-said", has_text=f"{DATASET}:animals:validation: 2 rows").wait_for()
    page.get_by_text("animals validation 1?").first.wait_for()
