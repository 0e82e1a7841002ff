"""What a proof says: differences, the margins that excuse them, and prompts from the run's own data."""

from __future__ import annotations

from pathlib import Path

import pytest

from interfaces.config import FineTuneConfig
from interfaces.exports import ProofRow
from interfaces.folders import Home
from tests.conftest import alpaca_rows, write_rows
from trainer.models.model_files import ModelFiles

pytestmark = pytest.mark.tiny


def row(differs_at: int | None = None, margin: float | None = None) -> ProofRow:
    return ProofRow(prompt="Q", taught=True, reference="a", answer="b", differs_at=differs_at, margin=margin)


@pytest.mark.parametrize(
    ("quantization", "rows", "passed"),
    [
        (None, [row()], True),
        ("f16", [row(), row(3, 0.001)], True),
        ("f32", [row(), row(3, 0.01)], False),
        (None, [row(3, None)], False),
        ("q8_0", [row(), row(3, 0.24)], True),
        ("bf16", [row(3, 0.26)], False),
        ("q8_0", [row(3, None)], False),
        ("q4_0", [row(0, 5.0)], None),
    ],
)
def test_rounding_is_excused_where_it_is_expected(quantization: str | None, rows: list[ProofRow], passed: bool) -> None:
    from trainer.evaluation.proof import verdict

    assert verdict(quantization, rows) is passed


def test_the_first_difference_is_found_and_an_end_counts() -> None:
    from trainer.evaluation.proof import _first_difference

    assert _first_difference([1, 2], [1, 2]) is None
    assert _first_difference([1, 2, 3], [1, 5, 3]) == 1
    assert _first_difference([1, 2], [1, 2, 3]) == 2
    assert _first_difference([1, 2], [1]) == 1


def test_half_of_the_prompts_are_what_was_taught(tiny_model: Path, home: Home, tmp_path: Path) -> None:
    from trainer.evaluation.proof import prompts_of
    from trainer.tokens.tokenizer import load_template

    template = load_template(ModelFiles(tiny_model, "tiny", None), "tiny")
    file = write_rows(tmp_path / "rows.jsonl", alpaca_rows(40))
    found = prompts_of(home, FineTuneConfig(dataset=str(file), model_name="tiny"), template)
    assert [prompt.taught for prompt in found] == [True] * 10 + [False] * 10
    assert len({prompt.text for prompt in found}) == 20
    assert found[0].ids == template.prompt_ids(found[0].text)
    open_only = prompts_of(home, FineTuneConfig(dataset=str(tmp_path / "gone.jsonl"), model_name="tiny"), template)
    assert [prompt.taught for prompt in open_only] == [False] * 10


def test_what_prevents_a_proof_is_known_before_it_begins(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    from trainer.evaluation.proof import hindrance

    files = ModelFiles(tiny_model, "tiny", None)
    assert hindrance("gguf", files) == ""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert (hindrance("gguf", files), hindrance("merged", files)) == ("no_llama_cpp", "")
    full = psutil.virtual_memory()._replace(available=100_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: full)
    assert hindrance("merged", files) == "too_little_memory"
