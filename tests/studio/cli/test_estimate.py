"""`finetune estimate` as a person and as a script use it."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from interfaces.files import read_json
from interfaces.folders import Home
from studio.processes.launcher import LocalLauncher
from tests.conftest import until
from tests.support.shapes import QWEN2

pytestmark = pytest.mark.process


def estimate(home: Home, *arguments: str) -> tuple[int, str, str]:
    command = [str(Path(sys.executable).parent / "finetune"), "estimate", *arguments, "--home", str(home.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(QWEN2))
    return folder


def write_config(place: Path, **settings: Any) -> str:
    path = place / "config.json"
    path.write_text(json.dumps(settings))
    return str(path)


def test_a_config_alone_is_enough(home: Home, tmp_path: Path, model: Path) -> None:
    config = write_config(tmp_path, model_name=str(model), max_length=2048)
    code, out, _ = estimate(home, config, "--device", "rtx_3060", "--json")
    reported = json.loads(out)
    assert code == 0
    assert reported["fit_level"] == "fits"
    assert reported["total_bytes"] == sum(reported["bytes"].values())
    assert reported["seconds"] is None
    assert reported["bytes"]["weights"] > 490_000_000
    assert reported["device"]["name"] == "NVIDIA GeForce RTX 3060"
    assert not reported["lengths_known"]


def test_too_large_exits_with_1_and_suggests_fix(home: Home, tmp_path: Path, model: Path) -> None:
    config = write_config(
        tmp_path, model_name=str(model), max_length=8192, per_device_train_batch_size=32, gradient_checkpointing=False
    )
    code, out, _ = estimate(home, config, "--device", "8GB")
    assert code == 1
    assert "Too large" in out
    assert "To make it fit: " in out
    assert json.loads(estimate(home, config, "--device", "8GB", "--json")[1])["fit"]["fit_level"] == "fits"


def test_full_logits_need_more_memory(home: Home, tmp_path: Path, model: Path) -> None:
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
        (["--time", "--device", "24GB"], "--time runs on this machine"),
    ],
)
def test_bad_input_is_a_sentence(home: Home, tmp_path: Path, model: Path, options: list[str], words: str) -> None:
    code, _, said = estimate(home, write_config(tmp_path, model_name=str(model)), *options)
    assert code == 2
    assert words in said


def test_what_does_not_fit_is_not_timed(home: Home, tmp_path: Path, model: Path) -> None:
    config = write_config(
        tmp_path, model_name=str(model), max_length=8192, per_device_train_batch_size=512, gradient_checkpointing=False
    )
    code, out, _ = estimate(home, config, "--time", "--set", "device=cpu")
    assert code == 1
    assert "Too large" in out
    assert "--time" not in out
    assert not home.runs.exists()


def test_timing_does_not_download_models(home: Home, tmp_path: Path) -> None:
    config = write_config(tmp_path, model_name="Qwen/Qwen2.5-0.5B-Instruct")
    code, out, said = estimate(home, config, "--time")
    assert (code, out) == (2, "")
    assert "finetune download Qwen/Qwen2.5-0.5B-Instruct" in said


@pytest.fixture
def with_starter(starter_home: Home, tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.models.mkdir(parents=True)
    home.starter.symlink_to(starter_home.starter.resolve(), target_is_directory=True)
    return home


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(json.dumps({"prompt": f"Count {n}.", "completion": "one two three"}) + "\n" for n in range(40))
    )
    return path


@pytest.mark.story
def test_estimate_uses_real_row_lengths(with_starter: Home, tmp_path: Path, rows: Path) -> None:
    config = write_config(tmp_path, model_name="starter", max_length=2048)
    reported = json.loads(estimate(with_starter, config, "--dataset", str(rows), "--device", "cpu", "--json")[1])
    blind = json.loads(estimate(with_starter, config, "--device", "cpu", "--json")[1])
    assert reported["lengths_known"]
    assert reported["steps"] is not None
    assert reported["seconds"] is None
    assert reported["batch_tokens"] < 400 < blind["batch_tokens"] == 4 * 2048
    assert reported["total_bytes"] < blind["total_bytes"]


@pytest.mark.story
@pytest.mark.long  # sizing/test_calibration has what a run teaches
def test_few_timed_steps_give_the_duration(with_starter: Home, tmp_path: Path, rows: Path) -> None:
    config = write_config(tmp_path, model_name="starter", dataset=str(rows), num_train_epochs=100)
    code, out, said = estimate(with_starter, config, "--time", "--json")
    reported = json.loads(out)
    assert code == 0, said
    assert "4 of 4" in said or "4/4" in said
    assert 10 < reported["seconds"][0] < reported["seconds"][1]
    (run,) = with_starter.runs.iterdir()
    assert (read_json(run / "meta.json") or {})["name"] == "4 timed steps"
    assert json.loads(estimate(with_starter, config, "--json")[1])["seconds"] == pytest.approx(reported["seconds"])


@pytest.mark.story
@pytest.mark.long  # test_attach has Ctrl-C without a run of its own
def test_ctrl_c_ends_timing_without_a_duration(with_starter: Home, tmp_path: Path, rows: Path) -> None:
    command = [str(Path(sys.executable).parent / "finetune"), "estimate", "--time", "--json"]
    config = write_config(tmp_path, model_name="starter", dataset=str(rows))
    asked = subprocess.Popen(
        [*command, config, "--home", str(with_starter.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a shell in the background ignores it for its children
    )
    until(lambda: any(with_starter.runs.glob("*/events.jsonl")))
    asked.send_signal(signal.SIGINT)
    out, said = asked.communicate(timeout=300)
    assert (asked.returncode, out) == (130, "")
    assert "It is running in the background" in said
    (run,) = with_starter.runs.iterdir()
    assert LocalLauncher().signal(with_starter.run(run.name), signal.SIGKILL)


def test_several_datasets_in_a_list_are_a_mix(home: Home, tmp_path: Path, model: Path) -> None:
    """An estimate and a start read them alike; no traceback for a shape that nobody knows."""
    config = write_config(tmp_path, model_name=str(model), dataset=["a.jsonl", "b.jsonl"], max_length=512)
    assert estimate(home, config, "--device", "rtx_3060", "--json")[0] == 0
    code, _, said = estimate(home, write_config(tmp_path, model_name=str(model), dataset=[1, 2]))
    assert (code, "dataset is [1, 2]" in said) == (2, True)


def test_a_model_that_could_not_be_trained_does_not_fit(home: Home, tmp_path: Path, model: Path) -> None:
    (model / "config.json").write_text(json.dumps({**QWEN2, "quantization_config": {"quant_method": "gptq"}}))
    code, out, said = estimate(home, write_config(tmp_path, model_name=str(model)))
    assert (code, out) == (2, "")
    assert "GPTQ" in said
