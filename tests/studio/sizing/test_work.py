from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from studio.models.catalog import BY_ID
from studio.sizing.batch_lengths import Lengths
from studio.sizing.work import examples_trained, flops_per_token, tokens_of_step, work_of

LENGTHS = Lengths((100,), (1000,), 0.5)
SHAPE = BY_ID["starter"].shape


def config(**settings: Any) -> FineTuneConfig:
    return FineTuneConfig(dataset="x", **{"validation_split": 0, "gradient_accumulation_steps": 2, **settings})


def test_recomputing_costs_a_third_pass() -> None:
    without, with_it = (flops_per_token(SHAPE, config(gradient_checkpointing=on), LENGTHS) for on in (False, True))
    assert 1.3 < with_it / without < 1.5


def test_validation_rows_are_no_training_work() -> None:
    assert examples_trained(config(validation_split=0.1), 1000) == 900
    assert examples_trained(config(validation_split=0.1, validation_dataset="y"), 1000) == 1000


def test_steps_come_from_epochs_or_max_steps() -> None:
    whole = work_of(config(num_train_epochs=2), LENGTHS)
    assert whole is not None
    assert (whole.steps, whole.tokens) == (2 * 125, 2 * 100_000)
    part = work_of(config(num_train_epochs=2, max_steps=25), LENGTHS)
    more = work_of(config(num_train_epochs=2, max_steps=500), LENGTHS)
    assert part is not None
    assert more is not None
    assert [(one.steps, one.tokens) for one in (part, more)] == [(25, 20_000), (500, 400_000)]
    assert work_of(config(long_rows="drop", max_length=64), LENGTHS) is None


def test_with_packing_batches_are_counted_in_tokens() -> None:
    packed = work_of(config(packing=True, max_tokens_per_batch=2000, num_train_epochs=1), LENGTHS)
    assert packed is not None
    assert packed.steps == 25  # 50 packs of 2,000 tokens, 2 to an update


def test_step_tokens_are_row_lengths_or_max_length() -> None:
    settings = {"per_device_train_batch_size": 4, "max_length": 512}
    assert tokens_of_step(config(**settings), LENGTHS) == pytest.approx(800)
    assert tokens_of_step(config(**settings), None) == 2 * 4 * 512


def test_a_pair_is_two_sequences_and_its_reference_a_forward_pass() -> None:
    """600 sequences of 300 pairs: as many steps as 300 rows make, and half as much work again."""
    sides = Lengths((100,), (600,), 0.5)
    assert examples_trained(config(method="dpo", validation_split=0.1), 600) == 270
    pairs = work_of(config(method="dpo", num_train_epochs=1), sides)
    assert pairs is not None
    assert (pairs.steps, pairs.tokens) == (38, 60_000)
    plain, compared, judged = (flops_per_token(SHAPE, config(method=method), sides) for method in ("sft", "dpo", "kto"))
    assert 1.4 < compared / plain < 1.6
    assert 2.3 < judged / plain < 2.7
