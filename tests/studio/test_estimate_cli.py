"""`finetune estimate` as a person and as a script use it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from interfaces.folders import Home
from tests.studio.test_architecture import QWEN2

pytestmark = pytest.mark.process


def estimate(home: Home, *arguments: str) -> tuple[int, str, str]:
    command = [str(Path(sys.executable).parent / "finetune"), "estimate", *arguments, "--home", str(home.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(QWEN2))
    return folder


def write_config(place: Path, **dials: Any) -> str:
    path = place / "config.json"
    path.write_text(json.dumps(dials))
    return str(path)


def test_a_config_alone_is_enough(home: Home, tmp_path: Path, model: Path) -> None:
    config = write_config(tmp_path, model_name=str(model), max_length=2048)
    code, out, _ = estimate(home, config, "--device", "rtx_3060", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["verdict"] == "fits"
    assert told["total_bytes"] == sum(told["bytes"].values())
    assert told["seconds"] is None
    assert told["bytes"]["weights"] > 490_000_000
    assert told["device"]["name"] == "NVIDIA GeForce RTX 3060"
    assert not told["lengths_known"]


def test_too_big_is_exit_code_1_and_comes_with_a_cure(home: Home, tmp_path: Path, model: Path) -> None:
    config = write_config(
        tmp_path, model_name=str(model), max_length=8192, per_device_train_batch_size=32, gradient_checkpointing=False
    )
    code, out, _ = estimate(home, config, "--device", "8GB")
    assert code == 1
    assert "It is too big" in out
    assert "To make it fit: " in out
    assert json.loads(estimate(home, config, "--device", "8GB", "--json")[1])["fit"]["verdict"] == "fits"


def test_others_way_of_computing_the_loss_needs_more(home: Home, tmp_path: Path, model: Path) -> None:
    config = write_config(tmp_path, model_name=str(model))
    ours, full = (
        json.loads(estimate(home, config, "--device", "24GB", "--json", "--loss", way)[1])
        for way in ("trained", "full")
    )
    assert full["bytes"]["logits"] > 5 * ours["bytes"].get("logits", 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--device", "abacus"], "rtx_3060"),
        (["--loss", "some"], "should be 'trained' or 'full'"),
        (["--set", "max_length=-3"], "max_length"),
    ],
)
def test_bad_input_is_a_sentence(home: Home, tmp_path: Path, model: Path, options: list[str], words: str) -> None:
    code, _, said = estimate(home, write_config(tmp_path, model_name=str(model)), *options)
    assert code == 2
    assert words in said


@pytest.mark.story
def test_the_real_lengths_of_the_rows_count(starter_home: Home, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "".join(json.dumps({"prompt": f"Count {n}.", "completion": "one two three"}) + "\n" for n in range(40))
    )
    config = write_config(tmp_path, model_name="starter", max_length=2048)
    home = Home(tmp_path / "home")
    home.models.mkdir(parents=True)
    home.starter.symlink_to(starter_home.starter.resolve(), target_is_directory=True)
    told = json.loads(estimate(home, config, "--dataset", str(rows), "--device", "cpu", "--json")[1])
    blind = json.loads(estimate(home, config, "--device", "cpu", "--json")[1])
    assert told["lengths_known"]
    assert told["steps"] is not None
    assert told["batch_tokens"] < 400 < blind["batch_tokens"] == 4 * 2048
    assert told["total_bytes"] < blind["total_bytes"]
