"""The estimate of a step's memory against torch's own count, for settings drawn anew at each run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.folders import Home
from tests.conftest import ROOT

pytestmark = [pytest.mark.story, pytest.mark.long]  # studio/sizing/test_estimate has published measurements


@pytest.mark.timeout(600)
def test_tensor_memory_estimate_is_within_ten_percent(starter_home: Home, tmp_path: Path) -> None:
    records = tmp_path / "records.json"
    options = {"--settings": 2, "--most-tokens": 1500, "--starter": starter_home.starter, "--json": records}
    command = [sys.executable, "bench/estimate.py", *(str(word) for option in options.items() for word in option)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    errors = [record["tensor_error"] for record in json.loads(records.read_text())]
    assert len(errors) == 4
    assert all(-0.05 <= error <= 0.10 for error in errors), done.stdout
