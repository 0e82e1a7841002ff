import json

from interfaces.row_lengths import CutHistogram, Histogram, LengthFigures, RowLengths, StoredLengths

FIGURES = LengthFigures(
    rows=10, counted=10, longest=90, tokens=500, tokens_kept=480, trained_tokens=250, max_length=64, median=50, cut=1, lost=0,
    nothing_to_learn=0, padding_share=0.25,
    histogram=CutHistogram(edges=[0, 40, 80, 120], counts=[6, 3, 1], cut=[4, 1, 0], lost=[0, 0, 0]),
)  # fmt: skip


def test_an_estimate_keeps_of_the_figures_only_what_it_needs() -> None:
    kept = RowLengths.model_validate(FIGURES.model_dump())
    assert set(kept.model_dump()) == set(RowLengths.model_fields)
    assert kept.histogram == Histogram(edges=[0, 40, 80, 120], counts=[6, 3, 1])
    stored = StoredLengths(models={"starter": kept})
    assert StoredLengths.model_validate_json(stored.model_dump_json()) == stored


def test_a_page_gets_every_figure() -> None:
    shown = json.loads(FIGURES.model_dump_json())
    assert (shown["cut"], shown["median"], shown["histogram"]["cut"]) == (1, 50, [4, 1, 0])
