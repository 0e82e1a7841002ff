"""A reward model scores each sequence as transformers' own classifier with the same head scores it alone."""

from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from tests.support.preferences import scorer, sequence

pytestmark = pytest.mark.tiny


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
def test_sequences_in_a_batch_are_scored_as_if_alone(tiny_model: Path, flat: bool) -> None:
    import torch

    from trainer.tokens.batches import flat_batch, padded_batch

    rows = [[5, 6, 7, 8, 9], [11, 12], [21, 22, 23, 24]]
    ours, theirs = scorer(tiny_model, flat=flat).eval(), scorer(tiny_model, ours=False).eval()
    examples = [sequence([], row) for row in rows]
    batch = flat_batch(examples) if flat else padded_batch(examples, 0)
    del batch["labels"]
    with torch.no_grad():
        scores = ours(**batch).logits
        expected = torch.cat([theirs(input_ids=torch.tensor([row])).logits for row in rows])
    assert scores.shape == (3, 1)
    assert torch.allclose(scores, expected, rtol=1e-4, atol=1e-6)
    assert len({round(float(one), 5) for one in scores}) == 3


def test_the_head_depends_on_the_seed_alone(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from trainer.models.scorer import scorer_of

    def head(seed: int) -> torch.Tensor:
        torch.rand(seed)  # what ran before doesn't matter
        return scorer_of(AutoModelForCausalLM.from_pretrained(tiny_model), "tiny", seed).score.weight.detach()

    assert torch.equal(head(1), head(1))
    assert not torch.equal(head(1), head(2))
    assert head(1).std() == pytest.approx(0.1, rel=0.3)  # the model's own range


def test_a_model_without_a_classifier_is_refused() -> None:
    from transformers import CohereConfig, CohereForCausalLM

    from trainer.models.scorer import scorer_of

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    with pytest.raises(FineTuneError) as error:
        scorer_of(CohereForCausalLM(CohereConfig(vocab_size=32, **sizes)), "cohere", 1)
    assert error.value.problems[0].params["reason"] == "no_scores"
