import pytest

pytestmark = pytest.mark.tiny

EXAMPLES = [{"input_ids": [5, 6, 7], "labels": [5, 6, 7]}, {"input_ids": [8], "labels": [8]}]


def test_flat_batch_has_no_padding_or_cross_sequence_labels() -> None:
    from trainer.tokens.batches import flat_batch

    batch = flat_batch(EXAMPLES)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8]]
    assert batch["labels"].tolist() == [[-100, 6, 7, -100]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0]]
    assert batch["sequence_lengths"] == [3, 1]
    assert batch["cu_seq_lens_q"].tolist() == batch["cu_seq_lens_k"].tolist() == [0, 3, 4]
    assert batch["max_length_q"] == batch["max_length_k"] == 3


def test_padding_is_masked_and_untrained() -> None:
    from trainer.tokens.batches import padded_batch

    batch = padded_batch([{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, EXAMPLES[1]], pad_token_id=0)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [8, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_a_pack_is_a_batch() -> None:
    from trainer.tokens.batches import flat_batch, padded_batch

    for collate in (flat_batch, lambda batch: padded_batch(batch, 0)):
        alone, packed = collate(EXAMPLES), collate([EXAMPLES])
        assert str(alone) == str(packed)
