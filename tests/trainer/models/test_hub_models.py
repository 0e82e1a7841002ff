"""Search and look-up: a real client process against a server of our own. No weights travel."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub_server import COMMIT, serve

pytestmark = pytest.mark.tiny
MODEL = "Qwen/Tiny-Qwen2"


def ask(place: Path, endpoint: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """The last line of `python -m trainer ...`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "trainer", *arguments],
        env={**clean, "HF_HOME": str(place / "hf"), "HF_ENDPOINT": endpoint, **environment},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def test_a_model_is_looked_up_without_its_weights(tiny_model: Path, tmp_path: Path) -> None:
    with serve({MODEL: tiny_model}) as hub:
        reported = ask(tmp_path, hub.endpoint, "look-up", MODEL)["result"]
        assert (reported["id"], reported["revision"], reported["license"], reported["gated"]) == (
            MODEL,
            COMMIT,
            "apache-2.0",
            False,
        )
        assert reported["download_bytes"] == (tiny_model / "model.safetensors").stat().st_size
        assert json.loads(Path(reported["config"]).read_text())["model_type"] == "qwen2"
        assert not [path for _, path in hub.requests if path.endswith(".safetensors")]


def test_search_returns_card_details(tiny_model: Path, tmp_path: Path) -> None:
    with serve({MODEL: tiny_model, "other/model": tiny_model}) as hub:
        (found,) = ask(tmp_path, hub.endpoint, "search", "qwen")["result"]["models"]
    assert found == {
        "id": MODEL,
        "downloads": 1234,
        "gated": False,
        "license": "apache-2.0",
        "parameters": 1000,
        "download_bytes": 2000,
    }


def test_pickled_weights_are_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "pytorch_model.bin").write_bytes(b"pickle")
    with serve({MODEL: model}) as hub:
        (problem,) = ask(tmp_path, hub.endpoint, "look-up", MODEL)["problems"]
    assert problem["code"] == "model_unsafe"


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "model_not_found"), (403, "model_gated"), (401, "model_not_found"), (503, "model_unreachable")],
)
def test_hub_errors_are_sentences(tiny_model: Path, tmp_path: Path, status: int, code: str) -> None:
    with serve({MODEL: tiny_model}, {MODEL: status}) as hub:
        assert ask(tmp_path, hub.endpoint, "look-up", MODEL)["problems"][0]["code"] == code


def test_missing_network_is_an_error(tmp_path: Path) -> None:
    for arguments in (("search", "qwen"), ("look-up", MODEL)):
        reported = ask(tmp_path, "http://127.0.0.1:9", *arguments)
        assert reported["problems"][0]["code"] == "model_unreachable"
