from interfaces.files import write_json
from interfaces.folders import Home
from interfaces.row_lengths import CutHistogram, LengthFigures
from studio.sizing.lengths import known_lengths, remember_lengths

FIGURES = LengthFigures(
    rows=10, counted=10, longest=90, tokens=500, tokens_kept=500, trained_tokens=250, max_length=512, median=50,
    cut=0, lost=0, nothing_to_learn=0, padding_share=0.0,
    histogram=CutHistogram(edges=[0, 40, 80, 120], counts=[6, 3, 1], cut=[1, 1, 0], lost=[0, 0, 0]),
)  # fmt: skip


def test_counted_lengths_are_stored(home: Home) -> None:
    folder = home.dataset("abc")
    folder.path.mkdir(parents=True)
    write_json(folder.report, {})
    assert known_lengths(home, "abc", "starter") is None
    remember_lengths(home, "abc", "starter", FIGURES)
    lengths = known_lengths(home, "abc", "starter")
    assert lengths is not None
    assert (lengths.rows, max(lengths.tokens), lengths.trained_share) == (10, 90, 0.5)
    # Another model's tokenizer counts otherwise, and is nearer to the truth than nothing.
    assert known_lengths(home, "abc", "Qwen/Qwen3-0.6B") == lengths


def test_missing_mixed_or_path_dataset_has_no_lengths(home: Home) -> None:
    remember_lengths(home, "gone", "starter", FIGURES)
    assert not home.dataset("gone").path.exists()
    for dataset in ("gone", "", {"a": 1.0}, "../etc", None):
        assert known_lengths(home, dataset, "starter") is None


def test_a_damaged_record_is_none(home: Home) -> None:
    folder = home.dataset("abc")
    folder.path.mkdir(parents=True)
    write_json(folder.lengths, {"models": {"starter": {"histogram": 3}}})
    assert known_lengths(home, "abc", "starter") is None
