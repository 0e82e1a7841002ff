"""`finetune reproduce`: bit-equal on a CPU, and a sentence for what can't be repeated."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from interfaces.events import Stopped
from interfaces.folders import Home
from tests.support.records import recorded_run, step

FINETUNE = str(Path(sys.executable).parent / "finetune")


def finetune(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [FINETUNE, *arguments, "--home", str(home.path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.tiny
def test_a_run_is_repeated_bit_by_bit(home: Home, tiny_config: dict[str, Any], tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump({**tiny_config, "name": "Mine", "lora": {"lora_dropout": 0.1}}))
    assert finetune(home, "train", str(config)).returncode == 0
    ended = finetune(home, "reproduce", "last", "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["difference"]["equal"], found["conditions"]) == (True, {})
    # Somebody changes a weight of the repeated run: the next one says how far it is from that.
    weights = home.run(found["run"]).adapter / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0x40
    weights.write_bytes(content)
    again = finetune(home, "reproduce", found["run"])
    assert again.returncode == 1
    assert f"Not bit-equal to run {found['run']}" in again.stdout
    assert "No recorded condition differs" in again.stdout


@pytest.mark.process
def test_what_cannot_be_repeated_is_a_sentence(home: Home) -> None:
    recorded_run(home, step(1), Stopped(step=1, resumable=False))
    ended = finetune(home, "reproduce", "last")
    assert ended.returncode == 2
    assert "only a finished run" in ended.stderr
    assert len(list(home.runs.glob("*"))) == 1
