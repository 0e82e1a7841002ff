"""The sample that comes with the studio: a made-up lantern that no model knows, and held-out questions about it."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

SAMPLE = "lumo-lantern.jsonl"
SAMPLES = Path(str(files("assets"))) / "samples"


def questions() -> list[dict[str, Any]]:
    """The held-out questions: `question`, and `expect`, all of which a right answer holds."""
    lines = (SAMPLES / "lumo-lantern-questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
