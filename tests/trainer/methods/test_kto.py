"""KTO's losses and gradients are those of TRL on the same answers."""

from pathlib import Path
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.method_settings import KtoSettings
from tests.support.preferences import (
    assert_same,
    loss_and_gradients,
    method_of,
    model_of,
    sequence,
    sides,
    their_trainer,
)

pytestmark = pytest.mark.tiny
LABELS = [True, False, True, True]


def answers() -> list[Any]:
    return [
        sequence(prompt, chosen, desirable=label) for (prompt, chosen, _), label in zip(sides(), LABELS, strict=True)
    ]


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
@pytest.mark.parametrize("kind", ["kto", "apo_zero_unpaired"])
def test_loss_gradients_and_metrics_equal_those_of_trl(tiny_model: Path, tmp_path: Path, kind: str, flat: bool) -> None:
    import torch
    from transformers import AutoTokenizer

    from trainer.training.loop import Means

    more = {"beta": 0.3, "desirable_weight": 1.5, "undesirable_weight": 0.7}
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    trainer = their_trainer("kto", model_of(tiny_model, chunked=False), tmp_path, tokenizer, loss_type=kind, **more)
    for name, parameter in trainer.model.named_parameters():
        if ".ref." in name and "lora_B" in name:
            with torch.no_grad():
                parameter.zero_()
    found = sides()
    rows = [
        {"prompt_ids": prompt, "completion_ids": chosen, "label": label, **({"KL_completion_ids": found[place - 1][1]} if kind == "kto" else {})}
        for place, ((prompt, chosen, _), label) in enumerate(zip(found, LABELS, strict=True))
    ]  # fmt: skip
    trainer.model.train()
    loss = trainer._compute_loss(trainer.model, trainer.data_collator(rows), return_outputs=False)
    expected = loss_and_gradients(trainer.model, loss)
    model = model_of(tiny_model, chunked=flat)
    method = method_of(FineTuneConfig(method="kto", kto=KtoSettings(loss_type=kind, **more)), flat)  # type: ignore[arg-type]
    ours = method.loss(model, method.collate(answers()), 4)
    assert_same(loss_and_gradients(model, ours.loss), expected)
    means = Means()
    means.add([ours.metrics])
    theirs = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    assert means.values() == {name: pytest.approx(theirs[name], rel=1e-4, abs=1e-6) for name in means.values()}
    assert ("kl" in means.values()) == (kind == "kto")


def test_the_divergence_is_that_of_answers_to_other_prompts() -> None:
    method = method_of(FineTuneConfig(method="kto", max_length=16))
    found = sides()
    batch = method.collate(answers())
    lengths, place = batch["mismatched"]["sequence_lengths"], 0
    for number, (prompt, _, _) in enumerate(found):
        whole = [*prompt, *found[number - 1][1]][:16]
        assert batch["mismatched"]["input_ids"][0, place : place + lengths[number]].tolist() == whole
        place += lengths[number]
    assert batch["desirable"].tolist() == LABELS


def test_a_batch_of_only_bad_answers_has_no_figures_of_good_ones(tiny_model: Path) -> None:
    model, method = model_of(tiny_model), method_of(FineTuneConfig(method="kto"))
    bad = [{**one, "desirable": False} for one in answers()]
    metrics = method.loss(model, method.collate(bad), 4).metrics
    assert {"rewards/rejected", "kl"} <= metrics.keys()
    assert "rewards/chosen" not in metrics


def test_a_single_answer_has_nothing_to_be_compared_with(tiny_model: Path) -> None:
    method = method_of(FineTuneConfig(method="kto"))
    batch = method.collate(answers()[:1])
    assert "mismatched" not in batch
    assert "kl" not in method.loss(model_of(tiny_model), batch, 1).metrics
