"""Datasets of the Hub, from a server of the test's own: which files belong to which config and split."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from tests.conftest import alpaca_rows, write_rows
from tests.support.hub_server import Hub, serve
from trainer.data.hub_dataset import hub_splits
from trainer.data.resolve import load_dataset

CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: "main/train-*.jsonl"
  - split: test
    path: main/test.jsonl
  - split: validation
    path: main/validation.jsonl
- config_name: small
  data_files: small.jsonl.gz
---
# Rows
"""


def _plain(place: Path) -> Path:
    """A repository without a card whose files' names say nothing that is known beforehand."""
    folder = place / "plain"
    folder.mkdir()
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    folder = tmp_path / "repository"
    (folder / "main").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    write_rows(folder / "main" / "train-0.jsonl", alpaca_rows(5))
    write_rows(folder / "main" / "train-1.jsonl", alpaca_rows(9)[5:])
    (folder / "main" / "test.jsonl").write_text('{"question": "q", "answer": "a"}\n')
    (folder / "main" / "validation.jsonl").write_text('{"question": "q2", "answer": "a"}\n' * 2)
    (folder / "small.jsonl.gz").write_bytes(gzip.compress(json.dumps(alpaca_rows(1)[0]).encode()))
    with serve({"me/rows": folder, "me/plain": _plain(tmp_path)}) as server:
        import datasets
        from huggingface_hub import constants

        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", server.endpoint)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield server


@pytest.mark.parametrize(
    ("reference", "rows", "shape"),
    [
        ("hub:me/rows", 9, "alpaca"), ("hub:me/rows:default:test", 1, "question_answer"),
        ("hub:me/rows::test", 1, "question_answer"), ("hub:me/rows:small", 1, "alpaca"),
    ],
)  # fmt: skip
def test_config_and_split_choose_the_files(hub: Hub, home: Home, reference: str, rows: int, shape: str) -> None:
    _, used, report = load_dataset(home, reference)
    assert (len(used), report.format) == (rows, shape)
    assert report.name.startswith("me/rows")


@pytest.mark.parametrize(
    ("reference", "code", "known"),
    [
        ("hub:me/rows:none", Code.HUB_DATASET_CHOICE, ["default", "small"]),
        ("hub:me/rows:default:dev", Code.HUB_DATASET_CHOICE, ["train", "test", "validation"]),
        ("hub:me/other", Code.HUB_DATASET_NOT_FOUND, None),
        ("hub:../etc", Code.HUB_DATASET_NOT_FOUND, None),
    ],
)
def test_missing_split_error_lists_available_ones(hub: Hub, home: Home, reference: str, code: Code, known: Any) -> None:
    with pytest.raises(FineTuneError) as raised:
        load_dataset(home, reference)
    problem = raised.value.problems[0]
    assert (problem.code, problem.params.get("known")) == (code, known)


@pytest.mark.parametrize(
    ("files", "asked", "wanted"),
    [
        (["train.jsonl", "test.jsonl", "README.md"], "", ["train.jsonl"]),
        (["data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl", "data/test-00000-of-00001.jsonl"], "::train", ["data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl"]),
        (["rows.jsonl", "dataset_infos.json"], "", ["rows.jsonl"]),
        (["dev.jsonl", "train.jsonl"], "::validation", ["dev.jsonl"]),
        (["a.json", "b.json"], "", ["a.json", "b.json"]),
    ],
)  # fmt: skip
def test_without_card_file_names_define_splits(
    hub: Hub, home: Home, tmp_path: Path, files: list[str], asked: str, wanted: list[str]
) -> None:
    for name in files:
        path = tmp_path / "plain" / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith(".jsonl"):
            write_rows(path, [{"prompt": name, "completion": "a"}])
        else:
            path.write_text("{}" if name == "dataset_infos.json" else json.dumps([{"prompt": name, "completion": "a"}]))
    examples, used, _ = load_dataset(home, "hub:me/plain" + asked)
    assert [examples[int(row)].messages[0].content for row in used] == wanted


def test_splits_are_shown_before_any_download(hub: Hub) -> None:
    found = hub_splits("hub:me/rows")
    assert (found.configs, found.config) == (("default", "small"), "default")
    assert [(split.name, split.files) for split in found.splits] == [("train", 2), ("test", 1), ("validation", 1)]
    assert found.splits[1].bytes == len('{"question": "q", "answer": "a"}\n')
    assert json.loads(found.first[0]) == alpaca_rows(1)[0]
    assert [split.name for split in hub_splits("hub:me/rows:small").splits] == ["train"]
    assert not [path for method, path in hub.requests if method == "GET" and path.endswith("validation.jsonl")]


def test_repository_without_readable_files_lists_its_files(hub: Hub, home: Home, tmp_path: Path) -> None:
    (tmp_path / "plain" / "images.tar").write_bytes(b"x")
    with pytest.raises(FineTuneError) as raised:
        load_dataset(home, "hub:me/plain")
    problem = raised.value.problems[0]
    assert (problem.code, problem.params["seen"]) == (Code.HUB_DATASET_EMPTY, ["images.tar"])


def test_splits_of_different_types_are_an_error(hub: Hub, home: Home, tmp_path: Path) -> None:
    write_rows(tmp_path / "plain" / "train.jsonl", alpaca_rows(1))
    (tmp_path / "plain" / "test.csv").write_text("question,answer\nq,a\n")
    with pytest.raises(FineTuneError) as raised:
        hub_splits("hub:me/plain")
    assert raised.value.problems[0].code == Code.HUB_DATASET_UNCLEAR
