"""DPO's losses and gradients are those of TRL on the same pairs."""

from pathlib import Path
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.method_settings import DpoSettings
from tests.support.preferences import assert_same, loss_and_gradients, method_of, model_of, pairs, sides, their_trainer

pytestmark = pytest.mark.tiny
TYPES = list(DpoSettings.model_fields["loss_type"].annotation.__args__)  # type: ignore[union-attr]


def theirs(tiny_model: Path, folder: Path, found: list[Any], **settings: Any) -> Any:
    import torch
    from transformers import AutoTokenizer

    model = model_of(tiny_model, chunked=False)
    trainer = their_trainer("dpo", model, folder, AutoTokenizer.from_pretrained(tiny_model), **settings)
    rows = [{"prompt_ids": p, "chosen_ids": c, "rejected_ids": r} for p, c, r in found]
    batch = trainer.data_collator(rows)
    # TRL copies a ready adapter as its reference; here the reference is the base model.
    for name, parameter in trainer.model.named_parameters():
        if ".ref." in name and "lora_B" in name:
            with torch.no_grad():
                parameter.zero_()
    trainer.model.train()
    loss = trainer._compute_loss(trainer.model, batch, return_outputs=False)
    return loss_and_gradients(trainer.model, loss), {
        name: value[-1] for name, value in trainer._metrics["train"].items()
    }


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
@pytest.mark.parametrize("kind", TYPES)
def test_each_loss_and_its_gradients_equal_those_of_trl(
    tiny_model: Path, tmp_path: Path, kind: str, flat: bool
) -> None:
    found, more = sides(), {"beta": 0.3, "label_smoothing": 0.1 if kind in ("robust", "exo_pair") else 0.0}
    expected, _ = theirs(tiny_model, tmp_path, found, loss_type=[kind], **more)
    model = model_of(tiny_model, chunked=flat)
    method = method_of(FineTuneConfig(method="dpo", dpo=DpoSettings(loss_type=kind, **more)), flat)  # type: ignore[arg-type]
    batch = method.collate(pairs(found))
    assert_same(loss_and_gradients(model, method.loss(model, batch, 4).loss), expected)


def test_metrics_equal_those_of_trl(tiny_model: Path, tmp_path: Path) -> None:
    from trainer.training.loop import Means

    found = sides()
    _, expected = theirs(tiny_model, tmp_path, found, beta=0.1)
    model, method = model_of(tiny_model), method_of(FineTuneConfig(method="dpo"))
    means = Means()
    for part in (found[:1], found[1:]):  # batches of different sizes give the same means
        means.add([method.loss(model, method.collate(pairs(part)), len(part)).metrics])
    ours = means.values()
    assert ours.keys() == {"rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected"}  # fmt: skip
    assert ours == {name: pytest.approx(expected[name], rel=1e-4, abs=1e-6) for name in ours}


def test_the_reference_is_the_model_without_the_adapter_and_nothing_stays_switched_off(tiny_model: Path) -> None:
    import torch

    model, method = model_of(tiny_model), method_of(FineTuneConfig(method="dpo"))
    model.train()
    batch = method.collate(pairs(sides()))
    before = method.log_probs(model, batch, batch["labels"]).sums()
    reference = method.reference_sums(model, batch)
    with model.disable_adapter():
        expected = method.log_probs(model, batch, batch["labels"]).sums()
    assert torch.equal(reference, expected.detach())
    assert not reference.requires_grad
    assert not torch.equal(reference, before)
    assert torch.equal(method.log_probs(model, batch, batch["labels"]).sums(), before)
    assert model.training
    assert all(parameter.requires_grad for name, parameter in model.named_parameters() if "lora_" in name)


def test_a_run_that_starts_from_an_adapter_keeps_close_to_that_adapter(tiny_model: Path) -> None:
    import torch

    model = model_of(tiny_model)
    first = {name: one.detach().clone() for name, one in model.named_parameters() if one.requires_grad}
    method = method_of(FineTuneConfig(method="dpo"), first=first)
    batch = method.collate(pairs(sides()))
    loss = method.loss(model, batch, 4).loss
    assert float(loss) == pytest.approx(0.693147, rel=1e-5)  # no ratio yet
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in first:
                parameter.add_(0.05)
    now = {name: one.detach().clone() for name, one in model.named_parameters() if one.requires_grad}
    assert float(method.loss(model, batch, 4).loss) != pytest.approx(0.693147, rel=1e-3)
    assert all(torch.equal(now[name], one) for name, one in model.named_parameters() if name in now)
