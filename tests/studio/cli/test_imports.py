"""`finetune import`: the new run's id, warnings, and sentences for what is no adapter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.folders import Home
from interfaces.run_records import RunMeta
from tests.support.adapters import foreign_adapter

pytestmark = pytest.mark.tiny
FINETUNE = str(Path(sys.executable).parent / "finetune")


def imported(home: Home, *arguments: str, place: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [FINETUNE, "import", *arguments, "--home", str(home.path)]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300, check=False)


def test_a_folder_becomes_a_run(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = foreign_adapter(tmp_path / "mine", tiny_model, unsloth_fixed=True)
    ended = imported(home, str(adapter), "--name", "Mine", "--json")
    assert ended.returncode == 0, ended.stderr
    run = home.run(json.loads(ended.stdout)["run"])
    assert json.loads(run.meta.read_text())["name"] == "Mine"
    assert "unsloth_fixed" in ended.stderr


@pytest.mark.parametrize(("model", "says"), [("", "Say which model it belongs to"), ("Qwen/Qwen3-0.6B", "")])
def test_the_base_can_be_said(home: Home, tmp_path: Path, tiny_model: Path, model: str, says: str) -> None:
    adapter = foreign_adapter(tmp_path / "mine", tiny_model, base_model_name_or_path="./gone")
    ended = imported(home, str(adapter), *(["--model", model] if model else []))
    assert ended.returncode == (2 if says else 0)
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_paths_are_those_of_the_terminal(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    foreign_adapter(tmp_path / "mine", tiny_model, base_model_name_or_path="./gone")
    (tmp_path / "base").symlink_to(tiny_model)
    ended = imported(home, "mine", "--model", "base", place=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert RunMeta.of(home.run(ended.stdout.strip())).model == str(tmp_path / "base")
