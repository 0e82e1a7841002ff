"""What the Help page has beside its introduction: advice, every setting, and the glossary, in one language."""

from __future__ import annotations

import json
from importlib.resources import files

from pydantic import BaseModel

from interfaces.texts import texts
from studio.pages.form import GROUPS, controls

ADVICE = (
    "out_of_memory", "overfitting", "not_learning", "loss_zero", "diverging", "repeats", "forgot", "same_answers",
    "never_stops", "interrupted", "no_hub", "disk_full",
)  # fmt: skip
"""What people ask about, in the order of a run's life; the texts are `NAME` and `NAME_help` of the context `advice`."""


class HelpEntry(BaseModel):
    """Something to look up. `id` is its place on the page."""

    id: str
    title: str
    text: str


class HelpSetting(HelpEntry):
    """A setting with the heading of its group."""

    group: str


class Help(BaseModel):
    """All that can be looked up."""

    advice: list[HelpEntry]
    settings: list[HelpSetting]
    glossary: list[HelpEntry]


def help_of(language: str) -> Help:
    """Return all entries in a language."""
    advice, page = texts("advice", language), texts("page", language)
    terms = [term[language] for term in json.loads((files("studio") / "pages" / "glossary.json").read_text("utf-8"))]
    return Help(
        advice=[HelpEntry(id=f"advice-{name}", title=advice[name], text=advice[f"{name}_help"]) for name in ADVICE],
        settings=[
            HelpSetting(id=f"setting-{one.name}", title=f"{one.label} · {one.name}", text=one.help.removesuffix(f" · {one.name}"), group=page[f"group_{one.group}"])
            for one in sorted(controls(language), key=lambda one: GROUPS.index(one.group))
        ],
        glossary=[
            HelpEntry(id=f"term-{number}", title=term["term"], text=term["meaning"]) for number, term in enumerate(terms)
        ],
    )  # fmt: skip
