from typing import Any

from interfaces.config import FineTuneConfig
from interfaces.row_lengths import Histogram, RowLengths
from studio.sizing.batch_lengths import Lengths, trained_in, worst_batch

FIGURES = RowLengths(
    rows=100, counted=100, longest=90, tokens_kept=1000, trained_tokens=250, max_length=512,
    histogram=Histogram(edges=[0, 40, 80, 120], counts=[60, 30, 10]),
)  # fmt: skip


def config(**settings: Any) -> FineTuneConfig:
    return FineTuneConfig(dataset="x", **{"max_length": 512, "per_device_train_batch_size": 4, **settings})


def test_without_data_rows_have_max_length() -> None:
    assert worst_batch(config(), None) == (512,) * 4
    assert worst_batch(config(packing=True, max_tokens_per_batch=1100), None) == (512,) * 2
    assert trained_in(FineTuneConfig(), (512,) * 4, None) == 4 * 511


def test_lengths_follow_the_histogram_and_the_longest_row() -> None:
    lengths = Lengths.of_figures(FIGURES)
    assert lengths is not None
    assert (lengths.rows, max(lengths.tokens), lengths.trained_share) == (100, 90, 0.25)
    assert trained_in(FineTuneConfig(), (40, 60), lengths) == 25


def test_the_largest_batch_lies_between_the_mean_and_the_longest_rows() -> None:
    lengths = Lengths((10, 100), (900, 100))
    rows = worst_batch(config(), lengths)
    assert len(rows) == 4
    assert 4 * 19 < sum(rows) <= 400
    assert worst_batch(config(), lengths) == rows  # the same question, the same answer


def test_max_length_cuts_and_drops_as_the_run_does() -> None:
    lengths = Lengths((10, 1000), (10, 10))
    assert max(worst_batch(config(), lengths)) == 512
    assert max(worst_batch(config(long_rows="drop"), lengths)) == 10


def test_a_batch_is_never_larger_than_the_data() -> None:
    assert worst_batch(config(per_device_train_batch_size=64), Lengths((20,), (3,))) == (20, 20, 20)


def test_packs_are_full() -> None:
    rows = worst_batch(config(packing=True, max_tokens_per_batch=1000), Lengths((100,), (500,)))
    assert sum(rows) == 1000


def test_a_sample_stands_for_the_whole() -> None:
    lengths = Lengths.of_figures(FIGURES.model_copy(update={"rows": 1_000_000}))
    assert lengths is not None
    assert 990_000 <= lengths.rows <= 1_000_001


def test_no_rows_no_lengths() -> None:
    assert Lengths.of_figures(FIGURES.model_copy(update={"histogram": Histogram(edges=[0, 1], counts=[0])})) is None


def test_one_long_row_among_very_many_is_met() -> None:
    assert max(worst_batch(config(max_length=8192), Lengths((100, 8000), (400_000, 1)))) == 8000


def test_padded_a_long_row_makes_a_large_batch() -> None:
    lengths = Lengths((1000, 3500), (400, 1))
    assert max(worst_batch(config(max_length=4096), lengths, padded=True)) == 3500


def test_a_pack_holds_the_longest_row() -> None:
    rows = worst_batch(config(packing=True, max_tokens_per_batch=2000), Lengths((50, 500), (1000, 10)))
    assert (max(rows), sum(rows)) == (500, 2000)


def test_a_batch_of_pairs_has_two_sequences_each() -> None:
    plain, pairs = (
        FineTuneConfig(method=method, max_length=128, per_device_train_batch_size=3) for method in ("sft", "dpo")
    )
    assert worst_batch(plain, None) == (128,) * 3
    assert worst_batch(pairs, None) == (128,) * 6
    lengths = Lengths((100,), (600,), 0.5)
    assert trained_in(pairs, (100,) * 6, lengths) == 300
    assert trained_in(pairs.model_copy(update={"method": "orpo"}), (100,) * 6, lengths) == 450
    assert trained_in(pairs.model_copy(update={"method": "reward"}), (100,) * 6, lengths) == 0
