"""Supervised fine-tuning by TRL's two losses."""

from pathlib import Path

import pytest

from interfaces.config import FineTuneConfig
from interfaces.method_settings import SftSettings
from tests.support.loops import rows_of_tokens
from tests.support.preferences import assert_same, loss_and_gradients, method_of, model_of

pytestmark = pytest.mark.tiny


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
@pytest.mark.parametrize("kind", ["nll", "dft"])
def test_the_loss_is_the_mean_over_the_trained_tokens_of_a_step(tiny_model: Path, kind: str, flat: bool) -> None:
    import torch

    rows, model = rows_of_tokens(5), model_of(tiny_model, chunked=flat)
    method = method_of(FineTuneConfig(method="sft", sft=SftSettings(loss_type=kind)), flat)  # type: ignore[arg-type]
    batches = [method.collate(rows[:2]), method.collate(rows[2:])]
    items = sum(method.items(batch) for batch in batches)
    ours = loss_and_gradients(model, sum(method.loss(model, batch, items).loss for batch in batches))
    plain = model_of(tiny_model, chunked=False)
    padded = method_of(FineTuneConfig(), flat=False).collate(rows)
    outputs = plain(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"])
    wanted = padded["labels"][:, 1:].flatten()
    each = torch.nn.functional.cross_entropy(outputs.logits[:, :-1].flatten(0, 1), wanted, reduction="none")
    each = each[wanted != -100]
    if kind == "dft":  # as TRL 1.16 has it, without a gradient through the probability
        each = each * torch.exp(-each).detach()
    loss = each.mean()
    assert_same(ours, loss_and_gradients(plain, loss))
