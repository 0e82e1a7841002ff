"""Figures are held to ones counted by hand."""

from typing import Any

import numpy
import pytest

from interfaces.row_lengths import RefusedRow

pytestmark = pytest.mark.tiny


class Held:
    """Items whose answers are their second half."""

    def __init__(self, *lengths: int) -> None:
        from trainer.tokens.token_store import ITEM

        self.refused: list[RefusedRow] = []
        rows = [(number, length, length - length // 2, length // 2, number, 0) for number, length in enumerate(lengths)]
        self.items = numpy.array(rows, dtype=ITEM)

    def trained_within(self, items: Any, max_length: int) -> int:
        return sum(max_length - int(item["first"]) for item in items if item["first"] < max_length)


def counted(*lengths: int, max_length: int = 100, batch: int = 2) -> dict[str, Any]:
    from trainer.tokens.length_figures import figures

    held = Held(*lengths)
    return figures(held, held.items, len(lengths), max_length, batch).model_dump()


def steps(*lengths: int, budget: int = 0) -> int:
    from trainer.tokens.length_figures import steps_per_epoch

    return steps_per_epoch(Held(*lengths).items, 100, "truncate", 2, 2, budget)


def test_rows_cut_and_rows_that_lose_their_whole_answer() -> None:
    found = counted(50, 100, 101, 150, 200, 201)
    assert (found["cut"], found["lost"]) == (4, 2)  # of 200 and 201 tokens the answer begins at 100
    assert found["longest"] == 201
    assert found["tokens"] == 802
    # 25 + 50, then what is left below 100 of those that begin at 50 and at 75
    assert found["trained_tokens"] == 25 + 50 + 50 + 25


def test_steps_are_updates_of_whole_and_partial_batches() -> None:
    assert steps(*[10] * 9) == 3  # 5 batches, 2 at a time
    assert steps(10) == 1


def test_with_packing_a_batch_is_counted_in_tokens() -> None:
    assert steps(*[10] * 9, budget=30) == 2  # 3 batches of 3
    assert steps(*[10, 20] * 4, 180, budget=100) == 2  # 3 batches: the long one lies alone


def test_padding_share_comes_from_longest_row() -> None:
    from trainer.tokens.length_figures import padding_share

    assert padding_share(numpy.array([10, 10, 10, 10]), 2) == 0
    assert padding_share(numpy.array([10, 30]), 2) == pytest.approx(1 - 40 / 60)
    assert padding_share(numpy.array([7]), 4) == 0
    assert padding_share(numpy.array([], dtype=int), 4) == 0


def test_histogram_edges_give_truncation_counts() -> None:
    lengths = [5, 17, 64, 64, 65, 300, 777]
    found = counted(*lengths)["histogram"]
    assert sum(found["counts"]) == len(lengths)
    for edge, cut, lost in zip(found["edges"][1:], found["cut"], found["lost"], strict=True):
        assert cut == sum(length > edge for length in lengths)
        assert lost == sum(length // 2 >= edge for length in lengths)
        again = counted(*lengths, max_length=edge)
        assert (again["cut"], again["lost"]) == (cut, lost)


def test_a_plain_text_is_counted_in_windows_and_never_cut() -> None:
    from trainer.tokens.length_figures import figures, steps_per_epoch
    from trainer.tokens.token_store import PLAIN

    held = Held(900, 50)
    held.items["flags"] = PLAIN
    held.items["trained"] = held.items["length"] - 1
    held.items["first"] = 1
    found = figures(held, held.items, 2, 128, 1)
    assert (found.cut, found.lost, found.longest) == (0, 0, 900)
    assert steps_per_epoch(held.items, 128, "truncate", 1, 1) == 9
    assert set(found.histogram.cut) == {0}
    assert steps_per_epoch(held.items, 128, "drop", 1, 1) == 1
