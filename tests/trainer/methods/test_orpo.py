"""ORPO's loss and gradients are those of TRL's experimental trainer on the same pairs."""

from pathlib import Path

import pytest

from interfaces.config import FineTuneConfig
from tests.support.preferences import assert_same, loss_and_gradients, method_of, model_of, pairs, sides, their_trainer

pytestmark = pytest.mark.tiny


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
def test_loss_gradients_and_metrics_equal_those_of_trl(tiny_model: Path, tmp_path: Path, flat: bool) -> None:
    from transformers import AutoTokenizer

    from trainer.training.loop import Means

    found = sides()
    trainer = their_trainer(
        "orpo", model_of(tiny_model, chunked=False), tmp_path, AutoTokenizer.from_pretrained(tiny_model), beta=0.2
    )
    rows = []
    for prompt, chosen, rejected in found:
        row = {}
        for side, answer in (("chosen", chosen), ("rejected", rejected)):
            row |= {
                f"{side}_input_ids": prompt + answer, f"{side}_attention_mask": [1] * len(prompt + answer),
                f"{side}_labels": [-100] * len(prompt) + answer,
            }  # fmt: skip
        rows.append(row | {"prompt_input_ids": prompt, "prompt_attention_mask": [1] * len(prompt)})
    loss, metrics = trainer.get_batch_loss_metrics(trainer.model, trainer.data_collator(rows), "train")
    expected = loss_and_gradients(trainer.model, loss)
    config = FineTuneConfig(method="orpo")
    config.orpo.beta = 0.2
    model, method = model_of(tiny_model, chunked=flat), method_of(config, flat)
    ours = method.loss(model, method.collate(pairs(found)), 4)
    assert_same(loss_and_gradients(model, ours.loss), expected)
    means = Means()
    means.add([ours.metrics])
    assert {
        "nll_loss",
        "log_odds_chosen",
        "rewards/margins",
        "rewards/accuracies",
        "logps/chosen",
    } <= means.values().keys()
    assert means.values() == {name: pytest.approx(metrics[name], rel=1e-4, abs=1e-6) for name in means.values()}


def test_batches_of_a_step_share_the_mean_over_its_pairs(tiny_model: Path) -> None:
    model, method = model_of(tiny_model), method_of(FineTuneConfig(method="orpo"))
    batches = [method.collate(pairs(part)) for part in (sides()[:2], sides()[2:])]
    alone = [float(method.loss(model, batch, 2).loss) for batch in batches]
    together = [float(method.loss(model, batch, 4).loss) for batch in batches]
    assert sum(together) == pytest.approx(sum(alone) / 2, rel=1e-6)


def test_an_answer_of_probability_one_has_a_finite_gradient() -> None:
    import torch

    from trainer.methods.orpo import _log1mexp

    certain = torch.tensor([0.0, -1e-9, -1.0], requires_grad=True)
    _log1mexp(certain).sum().backward()
    assert torch.isfinite(certain.grad).all()
