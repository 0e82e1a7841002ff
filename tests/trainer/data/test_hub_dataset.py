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
from trainer.data.hub_dataset import files_of_split
from trainer.data.resolve import load_dataset

CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: "main/train-*.jsonl"
  - split: test
    path: main/test.csv
- config_name: small
  data_files: small.jsonl.gz
---
# Rows
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    folder = tmp_path / "repository"
    (folder / "main").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    write_rows(folder / "main" / "train-0.jsonl", alpaca_rows(5))
    write_rows(folder / "main" / "train-1.jsonl", alpaca_rows(9)[5:])
    (folder / "main" / "test.csv").write_text("question,answer\nq,a\n")
    (folder / "small.jsonl.gz").write_bytes(gzip.compress(json.dumps(alpaca_rows(1)[0]).encode()))
    with serve({"me/rows": folder}) as server:
        from huggingface_hub import constants

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
    assert (len(used), report["format"]) == (rows, shape)
    assert report["name"].startswith("me/rows")


@pytest.mark.parametrize(
    ("reference", "code", "known"),
    [
        ("hub:me/rows:none", Code.HUB_DATASET_CHOICE, ["default", "small"]),
        ("hub:me/rows:default:dev", Code.HUB_DATASET_CHOICE, ["train", "test"]),
        ("hub:me/other", Code.HUB_DATASET_NOT_FOUND, None),
        ("hub:../etc", Code.HUB_DATASET_NOT_FOUND, None),
    ],
)
def test_what_is_not_there_says_what_is(hub: Hub, home: Home, reference: str, code: Code, known: Any) -> None:
    with pytest.raises(FineTuneError) as raised:
        load_dataset(home, reference)
    problem = raised.value.problems[0]
    assert (problem.code, problem.params.get("known")) == (code, known)


@pytest.mark.parametrize(
    ("files", "asked", "wanted"),
    [
        (["train.jsonl", "test.jsonl", "README.md"], ("", ""), ["train.jsonl"]),
        (["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test.parquet"], ("", "train"), ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"]),
        (["rows.csv", "dataset_infos.json"], ("", ""), ["rows.csv"]),
        (["en/train.jsonl", "de/train.jsonl"], ("de", ""), ["de/train.jsonl"]),
        (["dev.jsonl", "train.jsonl"], ("", "validation"), ["dev.jsonl"]),
        (["a.json", "b.json"], ("", ""), ["a.json", "b.json"]),
    ],
)  # fmt: skip
def test_without_a_card_names_of_files_tell_the_split(
    files: list[str], asked: tuple[str, str], wanted: list[str]
) -> None:
    assert files_of_split("x", files, {}, *asked)[0] == wanted


def test_a_repository_without_a_readable_file_says_what_it_has() -> None:
    with pytest.raises(FineTuneError) as raised:
        files_of_split("x", ["script.py", "images.tar"], {}, "", "")
    assert raised.value.problems[0].code == Code.HUB_DATASET_EMPTY
