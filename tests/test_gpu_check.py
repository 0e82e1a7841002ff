"""The check that the first card at hand will run works without one: every part of it, on small models."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(600)]


def test_gpu_check_dry_run_measures_everything(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "gpu_check.py"), "--device", "cpu", "--tiny", "--out", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    report = json.loads((tmp_path / "report.json").read_text())
    broken = {name: found for name, found in report["checks"].items() if not found.get("ok", True)}
    assert (done.returncode, broken) == (0, {}), done.stderr[-1000:]
    checks = report["checks"]
    assert set(checks) == {"machine", "preset", "flat", "stop", "shortage", "speed", "memory", "tests"}
    assert checks["flat"]["batches"] == "flat"
    assert checks["flat"]["worst_gradient"] < 1e-3
    assert checks["stop"]["furthest_loss"] == 0.0, "on a CPU a resume is exact"
    assert checks["speed"]["tiny, 16 bits"]["ours"]["tokens_per_second"] > 0
    assert len(checks["memory"]["errors"]) == 2
    assert "## speed: ok" in (tmp_path / "report.md").read_text()
