"""What can be looked up: advice, every setting, and the glossary, in both languages."""

from __future__ import annotations

import pytest

from interfaces.texts import texts
from studio.pages.form import controls
from studio.pages.help import ADVICE, help_of


@pytest.mark.parametrize("language", ["en", "zh"])
def test_everything_can_be_looked_up(language: str) -> None:
    found = help_of(language)
    assert {one.id for one in found.settings} == {f"setting-{one.name}" for one in controls(language)}
    assert [one.id for one in found.advice] == [f"advice-{name}" for name in ADVICE]
    assert set(texts("advice", language)) == {*ADVICE, *(f"{name}_help" for name in ADVICE)}
    every = [*found.advice, *found.settings, *found.glossary]
    assert all(one.title and one.text for one in every)
    assert len({one.id for one in every}) == len(every)


def test_terms_are_in_the_reader_s_language() -> None:
    terms = {one.title: one.text for one in help_of("zh").glossary}
    assert terms["适配器"] == "微调所训练并保存的权重（PEFT）。"
    assert "adapter" in {one.title for one in help_of("en").glossary}
