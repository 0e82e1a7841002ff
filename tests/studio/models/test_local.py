"""The models on this machine, and deleting one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from interfaces.config import STARTER
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from studio.models.local import delete_model, hub_cache, local_models


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one model, whose weights are 5,000 bytes, and one that isn't trained here."""
    place = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place))
    for name, files in (
        ("models--acme--small", {"config.json": b"{}", "model.safetensors": b"w" * 5000, "README.md": b"---\nlicense: mit\n---\n"}),
        ("models--acme--pickled", {"config.json": b"{}", "pytorch_model.bin": b"w"}),
    ):  # fmt: skip
        revision = "abc123"  # also of a copy under another name
        snapshot = place / name / "snapshots" / revision
        (place / name / "blobs").mkdir(parents=True)
        (place / name / "refs").mkdir()
        (place / name / "refs" / "main").write_text(revision)
        snapshot.mkdir(parents=True)
        for number, (file, content) in enumerate(files.items()):
            blob = place / name / "blobs" / str(number)
            blob.write_bytes(content)
            (snapshot / file).symlink_to(blob)
    return place


def starter(home: Home) -> None:
    home.starter.mkdir(parents=True)
    (home.starter / "model.safetensors").write_bytes(b"w" * 100)
    (home.starter / "starter.json").write_text(json.dumps({"schema_version": 1}))


def test_models_are_listed_with_size_and_license(home: Home, cache: Path) -> None:
    starter(home)
    first, second = local_models(home)
    assert (first.id, first.license, first.download_bytes) == (STARTER, "Apache-2.0", 100)
    assert (second.id, second.license, second.download_bytes) == ("acme/small", "mit", 5000)
    assert second.bytes >= 5000
    assert second.used is not None
    assert hub_cache() == cache


def test_a_deleted_model_is_gone_and_the_others_stay(home: Home, cache: Path) -> None:
    starter(home)
    assert delete_model(home, "acme/small") >= 5000
    assert [one.id for one in local_models(home)] == [STARTER]
    assert (cache / "models--acme--pickled").is_dir()
    delete_model(home, STARTER)
    assert local_models(home) == []
    for unknown in ("acme/small", "../..", ""):
        with pytest.raises(FineTuneError) as raised:
            delete_model(home, unknown)
        assert raised.value.problems[0].code == Code.MODEL_NOT_KNOWN


def test_without_a_cache_there_is_no_model(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "nothing"))
    assert local_models(home) == []
