"""`finetune` as a person meets it: a real process for each command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from interfaces.folders import Home

FINETUNE = Path(sys.executable).parent / "finetune"


def finetune(
    *arguments: str | Path, home: Home, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FINETUNE, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd, timeout=400,
        env={**os.environ, "FINETUNE_HOME": str(home.path), **environment},
    )  # fmt: skip


def config_file(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence of a refusal: exit 2, no traceback, nothing on stdout."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr.strip()
