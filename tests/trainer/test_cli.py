"""`python -m trainer` as others call it: exit codes and JSON lines."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from interfaces.events import Finished, read_events
from interfaces.folders import Home


def trainer(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "trainer", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=300)


def test_inspect_adds_a_good_file(home: Home, rows_file: Path) -> None:
    done = trainer("inspect", rows_file, "--home", home.path)
    assert done.returncode == 0
    assert home.dataset(json.loads(done.stdout.splitlines()[-1])["result"]["dataset"]).report.exists()


def test_inspect_names_what_is_wrong_and_exits_with_2(home: Home, tmp_path: Path) -> None:
    done = trainer("inspect", tmp_path / "none.jsonl", "--home", home.path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["problems"][0]["code"] == "file_missing"
    assert "Traceback" not in done.stderr


@pytest.mark.tiny
def test_invalid_config_exits_with_2(home: Home, tiny_config: dict[str, Any]) -> None:
    folder = home.create_run()
    folder.config.write_text(yaml.safe_dump({**tiny_config, "model_name": "/no/such/model"}))
    folder.create_attempt()
    done = trainer("run", folder.path)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("/no/such/model does not exist.")


@pytest.mark.tiny
def test_export_answers_with_the_place(home: Home, tiny_config: dict[str, Any], tmp_path: Path) -> None:
    from trainer.lora_trainer import LoRATrainer

    folder = home.create_run()
    LoRATrainer(folder).train(tiny_config)
    done = trainer("export", folder.path, "--out", tmp_path / "a.zip")
    assert json.loads(done.stdout) == {"result": {"path": str(tmp_path / "a.zip")}}
    assert trainer("export", folder.path, "--out", tmp_path / "a.zip").returncode == 2


@pytest.mark.tiny
def test_warm_trainer_trains_its_assigned_run(home: Home, tiny_config: dict[str, Any]) -> None:
    folder = home.create_run()
    folder.config.write_text(yaml.safe_dump(tiny_config))
    attempt = folder.create_attempt()
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "trainer", "wait", "ready"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        cwd=home.path,
    )  # fmt: skip
    line = json.dumps({"folder": str(folder.path), "attempt": attempt.number}) + "\n"
    said, _ = child.communicate(line.encode(), timeout=300)
    assert child.returncode == 0
    assert said == b""
    assert isinstance(read_events(folder.events)[-1], Finished)
    assert folder.log.exists()


@pytest.mark.tiny
@pytest.mark.long  # the one before is ready too, and takes a run
def test_warm_trainer_signals_ready_and_ends_without_run(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "trainer", "wait", "ready"]
    ended = subprocess.run(command, input=b"", timeout=300, check=False, cwd=tmp_path)
    assert ended.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["ready"]
