"""Models from a Hub: a real client process against a server of our own, through HF_ENDPOINT."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.disks import small_disk
from tests.support.hub_server import COMMIT, Hub, serve
from trainer.models.model_files import ModelFiles, license_of

pytestmark = pytest.mark.tiny
MODEL = "Qwen/Tiny-Qwen2"


def download(model: str, home: Path, endpoint: str, **environment: str) -> tuple[int, list[dict[str, Any]]]:
    """`python -m trainer download`: its exit code and its lines."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "trainer", "download", model, "--home", str(home / "home")],
        env={**clean, "HF_HOME": str(home / "hf"), "HF_ENDPOINT": endpoint, **environment},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def code_of(lines: list[dict[str, Any]]) -> str:
    return str(lines[-1]["problems"][0]["code"])


def test_a_model_is_fetched_once_into_the_standard_cache_with_progress(tiny_model: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    (model / "README.md").write_text("---\nlicense: other\nlicense_name: tiny-research\n---\n# Tiny\n")
    with serve({MODEL: model}) as hub:
        code, lines = download(MODEL, tmp_path, hub.endpoint)
        assert code == 0, lines
        snapshot = tmp_path / "hf" / "hub" / "models--Qwen--Tiny-Qwen2" / "snapshots" / COMMIT
        assert lines[-1]["result"] == {"path": str(snapshot)}
        assert (snapshot / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
        *_, last = [line["progress"] for line in lines if "progress" in line]
        assert last[0] == last[1] >= (tiny_model / "model.safetensors").stat().st_size
        fetched = len([request for request in hub.requests if request[0] == "GET" and "/resolve/" in request[1]])
        assert fetched >= 4
        assert download(MODEL, tmp_path, hub.endpoint)[0] == 0
        again = len([request for request in hub.requests if request[0] == "GET" and "/resolve/" in request[1]])
        assert again == fetched
        assert license_of(ModelFiles(snapshot, MODEL, COMMIT)) == "tiny-research"


def test_a_cached_model_is_used_when_the_hub_is_gone(tiny_model: Path, tmp_path: Path) -> None:
    with serve({MODEL: tiny_model}) as hub:
        endpoint = hub.endpoint
        assert download(MODEL, tmp_path, endpoint)[0] == 0
    assert download(MODEL, tmp_path, endpoint)[0] == 0
    assert download(MODEL, tmp_path, endpoint, HF_HUB_OFFLINE="1")[0] == 0


def test_hub_errors_are_reported_as_sentences(tiny_model: Path, tmp_path: Path) -> None:
    answers = {"a/private": 401, "a/gated": 403, "a/gone": 404, "a/down": 500}
    with serve({}, answers) as hub:
        assert code_of(download("a/gone", tmp_path, hub.endpoint)[1]) == "model_not_found"
        assert code_of(download("a/gated", tmp_path, hub.endpoint)[1]) == "model_gated"
        assert code_of(download("a/private", tmp_path, hub.endpoint)[1]) == "model_not_found"
        assert code_of(download("a/private", tmp_path, hub.endpoint, HF_TOKEN="hf_wrong")[1]) == "model_unauthorized"
        assert hub.tokens == {"", "Bearer hf_wrong"}


def test_a_hub_out_of_reach_is_named(tmp_path: Path) -> None:
    code, lines = download("Qwen/Qwen2.5-0.5B-Instruct", tmp_path, "http://127.0.0.1:9")
    assert (code, code_of(lines)) == (2, "model_unreachable")
    assert lines[-1]["problems"][0]["params"]["endpoint"] == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("break_it", "code"),
    [
        ("pickle", "model_unsafe"),
        ("no weights", "model_unsafe"),
        ("own code", "model_unsafe"),
        ("no config", "model_unsupported"),
    ],
)
def test_what_is_not_a_safe_whole_model_is_refused(tiny_model: Path, tmp_path: Path, break_it: str, code: str) -> None:
    folder = tmp_path / "repository"
    shutil.copytree(tiny_model, folder)
    if break_it in ("pickle", "no weights"):
        (folder / "model.safetensors").unlink()
    if break_it == "pickle":
        (folder / "model.bin").write_bytes(b"x")
    if break_it == "own code":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "_attn_implementation_internal": "evil/kernel"}))
    if break_it == "no config":
        (folder / "config.json").unlink()
    with serve({MODEL: folder}) as hub:
        assert code_of(download(MODEL, tmp_path, hub.endpoint)[1]) == code


def test_the_server_of_this_test_answers_ranges(tiny_model: Path) -> None:
    from urllib.request import Request, urlopen

    def fetch(hub: Hub, headers: dict[str, str]) -> bytes:
        with urlopen(Request(f"{hub.endpoint}/{MODEL}/resolve/main/config.json", headers=headers)) as answer:
            return bytes(answer.read())

    with serve({MODEL: tiny_model}) as hub:
        assert fetch(hub, {"Range": "bytes=2-9"}) == fetch(hub, {})[2:10]


def test_model_too_large_for_disk_reports_needed_space(tiny_model: Path, tmp_path: Path) -> None:
    """Before its first byte."""
    size = (tiny_model / "model.safetensors").stat().st_size
    with serve({MODEL: tiny_model}) as hub, small_disk(tmp_path / "small", size * 3 // 4) as disk:
        code, lines = download(MODEL, tmp_path, hub.endpoint, HF_HOME=str(disk / "hf"))
        problem = lines[-1]["problems"][0]
        assert (code, problem["code"]) == (2, "disk_full")
        assert problem["params"]["needed"] > problem["params"]["free"] > size // 2
        assert problem["params"]["path"].startswith(str(disk))


def weights_in(place: Path) -> list[Path]:
    """Files of weights in the cache, by whatever name they can be found."""
    found = (place / "hf" / "hub").rglob("*.safetensors")
    return [path for path in found if path.exists()]


def test_download_resumes_after_three_failures(tiny_model: Path, tmp_path: Path) -> None:
    with serve({MODEL: tiny_model}) as hub:
        hub.breaks = 3
        code, lines = download(MODEL, tmp_path, hub.endpoint)
        assert code == 0, lines
        assert hub.breaks == 0
        (whole,) = weights_in(tmp_path)
        assert whole.read_bytes() == (tiny_model / "model.safetensors").read_bytes()


def test_weights_with_wrong_hash_are_removed(tiny_model: Path, tmp_path: Path) -> None:
    with serve({MODEL: tiny_model}) as hub:
        hub.damaged = True
        code, lines = download(MODEL, tmp_path, hub.endpoint)
        assert (code, code_of(lines)) == (2, "checksum_mismatch")
        assert weights_in(tmp_path) == []
        hub.damaged = False
        assert download(MODEL, tmp_path, hub.endpoint)[0] == 0
        assert len(weights_in(tmp_path)) == 1


def test_rate_limit_error_has_the_waiting_time(tiny_model: Path, tmp_path: Path) -> None:
    with serve({MODEL: tiny_model}, {MODEL: 429}) as hub:
        code, lines = download(MODEL, tmp_path, hub.endpoint)
    assert (code, code_of(lines)) == (2, "hub_busy")
    assert lines[-1]["problems"][0]["params"]["seconds"] == "1"
