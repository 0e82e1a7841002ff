"""The bundled sample data: facts about a fictional lantern that no model knows, and held-out questions about it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel

from interfaces.run_config import Settings
from studio.config_file import read_config_file

SAMPLE = "lumo-lantern.jsonl"
SAMPLES = Path(str(files("assets"))) / "samples"


class Question(BaseModel):
    """A held-out question. A correct answer contains each piece of `expect`."""

    question: str
    expect: list[str]


def questions() -> list[Question]:
    lines = (SAMPLES / "lumo-lantern-questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [Question.model_validate_json(line) for line in lines]


def demo_config() -> Settings:
    """Return the settings of the demo: the sample's own, with its held-out questions as sample prompts."""
    config = read_config_file(SAMPLES / "lumo-lantern.yaml")
    return {
        **config,
        "dataset": str(SAMPLES / str(config["dataset"])),
        "sample_prompts": [row.question for row in questions()],
    }
