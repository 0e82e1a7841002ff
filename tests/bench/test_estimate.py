"""The estimate of a step's memory against torch's own count, for settings drawn anew at each run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.folders import Home
from tests.conftest import ROOT

pytestmark = pytest.mark.story


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("settings", "models", "losses", "most_tokens"),
    [
        (1, "5M", "trained", 800),
        pytest.param(2, "starter,5M,40M,226M,257M", "trained,full", 1500, marks=pytest.mark.long),
    ],
    ids=["small", "whole"],
)
def test_tensor_memory_is_estimated_within_a_tenth_and_never_much_too_low(
    starter_home: Home, tmp_path: Path, settings: int, models: str, losses: str, most_tokens: int
) -> None:
    records = tmp_path / "records.json"
    options = {
        "--settings": settings, "--models": models, "--loss": losses, "--most-tokens": most_tokens, "--starter": starter_home.starter, "--json": records,
    }  # fmt: skip
    command = [sys.executable, "bench/estimate.py", *(str(word) for option in options.items() for word in option)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    errors = [record["tensor_error"] for record in json.loads(records.read_text())]
    assert len(errors) == settings * len(losses.split(","))
    assert all(-0.05 <= error <= 0.10 for error in errors), done.stdout
