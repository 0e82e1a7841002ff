from typing import Any

import numpy
import pytest

pytestmark = pytest.mark.tiny

EXAMPLES = [{"input_ids": [5, 6, 7], "labels": [5, 6, 7]}, {"input_ids": [8], "labels": [8]}]


def test_a_flat_batch_has_no_padding_and_never_learns_across_a_border() -> None:
    from trainer.batches import flat_batch

    batch = flat_batch(EXAMPLES)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8]]
    assert batch["labels"].tolist() == [[-100, 6, 7, -100]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0]]
    assert batch["sequence_lengths"] == [3, 1]
    assert batch["cu_seq_lens_q"].tolist() == batch["cu_seq_lens_k"].tolist() == [0, 3, 4]
    assert batch["max_length_q"] == batch["max_length_k"] == 3


def test_in_a_padded_batch_padding_is_neither_read_nor_learned() -> None:
    from trainer.batches import padded_batch

    batch = padded_batch([{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, EXAMPLES[1]], pad_token_id=0)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [8, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_a_pack_is_a_batch() -> None:
    from trainer.batches import flat_batch, padded_batch

    for collate in (flat_batch, lambda batch: padded_batch(batch, 0)):
        alone, packed = collate(EXAMPLES), collate([EXAMPLES])
        assert str(alone) == str(packed)


@pytest.mark.parametrize("budget", [64, 100, 512])
def test_best_fit_holds_every_example_once_within_the_budget_and_wastes_little(budget: int) -> None:
    from trainer.batches import best_fit

    lengths = numpy.random.default_rng(3).integers(1, 65, 3000)
    groups = best_fit(lengths, budget, seed=7)
    assert sorted(index for group in groups for index in group) == list(range(3000))
    sums = [int(lengths[group].sum()) for group in groups]
    assert max(sums) <= budget
    # Best fit decreasing needs at most 11/9 of the least number of groups; on lengths like these it is far better.
    assert len(groups) <= 1.02 * int(lengths.sum()) / budget + 1
    assert groups == best_fit(lengths, budget, seed=7) != best_fit(lengths, budget, seed=8)


def test_an_example_above_the_budget_is_a_batch_of_its_own() -> None:
    from trainer.batches import best_fit

    assert sorted(map(sorted, best_fit(numpy.array([9, 2, 2]), budget=4))) == [[0], [1, 2]]
    assert best_fit(numpy.array([], dtype=int), budget=4) == []


def test_packs_count_what_is_left_after_cutting() -> None:
    from trainer.batches import Packs

    class View:
        items = numpy.array([(40,), (3,), (4,)], dtype=[("length", "<u4")])
        max_length = 8

        def __getitem__(self, index: int) -> Any:
            return {"index": index}

    packs = Packs(View(), budget=8, seed=0)  # type: ignore[arg-type]
    assert len(packs) == 2
    assert [item["index"] for item in packs[0]] == [0]
    assert sorted(item["index"] for item in packs[1]) == [1, 2]
