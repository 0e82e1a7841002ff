"""Log-probabilities of each sequence of a batch, flat or padded: those of the model's own logits."""

from pathlib import Path

import pytest

from tests.support.loops import rows_of_tokens
from tests.support.preferences import method_of, model_of

pytestmark = pytest.mark.tiny


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
def test_sums_and_means_of_each_sequence(tiny_model: Path, flat: bool) -> None:
    import torch

    from interfaces.config import FineTuneConfig
    from trainer.kernels.log_probs import log_probs

    rows = rows_of_tokens(5)
    model = model_of(tiny_model, chunked=flat)
    batch = method_of(FineTuneConfig(), flat).collate(rows)
    found = log_probs(model, batch, batch["labels"], chunked=flat)
    for number, row in enumerate(rows):
        ids = torch.tensor([row["input_ids"]])
        logits = model(input_ids=ids).logits[0, :-1]
        each = torch.log_softmax(logits, -1).gather(1, ids[0, 1:, None])[:, 0]
        wanted = each[torch.tensor(row["labels"])[1:] != -100]
        assert found.counts[number] == len(wanted)
        assert float(found.sums()[number]) == pytest.approx(float(wanted.sum()), rel=1e-5)
        assert float(found.means()[number]) == pytest.approx(float(wanted.mean()), rel=1e-5)
