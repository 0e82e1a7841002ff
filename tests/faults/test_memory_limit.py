"""A real run in too little memory is killed; with what 'Make it fit' proposes there, it runs to its end."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from interfaces.folders import Home
from tests.support.memory_group import memory_group, run_in

pytestmark = [pytest.mark.story, pytest.mark.long]  # test_browser_queue shows the fix with a trainer that says so
FINETUNE = str(Path(sys.executable).parent / "finetune")
ROWS, WORDS = 24, 420


@pytest.fixture
def place(tmp_path: Path, starter_home: Home) -> Path:
    """A home with the starter, rows of about 512 tokens, and settings that keep all activations."""
    home = Home(tmp_path / "home")
    home.models.mkdir(parents=True)
    home.starter.symlink_to(starter_home.starter.resolve(), target_is_directory=True)
    answer = " ".join(["one", "two", "three"] * (WORDS // 3))
    rows = [{"prompt": f"Count, number {number}.", "completion": f"{answer} {number}"} for number in range(ROWS)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {
        "model_name": "starter", "dataset": str(tmp_path / "rows.jsonl"), "max_length": 512, "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1, "gradient_checkpointing": False, "max_steps": 2, "validation_split": 0, "bad_rows": "skip",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def finetune(group: Path, place: Path, *arguments: str) -> Any:
    environment = {**os.environ, "FINETUNE_HOME": str(place / "home")}
    return run_in(group, [FINETUNE, *arguments], env=environment, timeout=300)


@pytest.mark.timeout(600)
def test_suggested_out_of_memory_fix_really_runs(place: Path) -> None:
    config = str(place / "config.json")
    with memory_group(12 << 30) as roomy:
        needed = json.loads(finetune(roomy, place, "estimate", config, "--json").stdout)
    step = sum(
        size
        for part, size in needed["bytes"].items()
        if part in ("activations", "attention", "logits", "gradients", "fragmentation")
    )
    idle = needed["total_bytes"] - step
    with memory_group(idle + step // 2) as small:
        reported = json.loads(finetune(small, place, "estimate", config, "--json").stdout)
        assert reported["fit_level"] == "too_big"
        assert reported["device"]["total_bytes"] == (idle + step // 2) // 4096 * 4096
        killed = finetune(small, place, "train", config)
        assert killed.returncode == 1
        assert "ran out of memory" in killed.stdout
        assert "--apply-fix' runs it again with" in killed.stdout
        fits = finetune(small, place, "retry", "last", "--apply-fix")
        assert fits.returncode == 0, fits.stdout
        runs = sorted((place / "home" / "runs").iterdir())
        before, after = (yaml.safe_load((run / "config.yaml").read_text()) for run in runs)
        assert {name: after[name] for name in after if after[name] != before[name]} == reported["fit"]["changes"]
        assert "Adapter: " in fits.stdout
