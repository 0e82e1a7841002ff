from typing import Any

import numpy
import pytest


@pytest.mark.parametrize("budget", [64, 100, 512])
def test_best_fit_packs_every_example_once_and_wastes_little(budget: int) -> None:
    from trainer.tokens.packing import best_fit

    lengths = numpy.random.default_rng(3).integers(1, 65, 3000)
    groups = best_fit(lengths, budget, seed=7)
    assert sorted(index for group in groups for index in group) == list(range(3000))
    sums = [int(lengths[group].sum()) for group in groups]
    assert max(sums) <= budget
    # Best fit decreasing needs at most 11/9 of the least number of groups; on lengths like these it is far better.
    assert len(groups) <= 1.02 * int(lengths.sum()) / budget + 1
    assert groups == best_fit(lengths, budget, seed=7) != best_fit(lengths, budget, seed=8)


def test_an_example_above_the_budget_is_a_batch_of_its_own() -> None:
    from trainer.tokens.packing import best_fit

    assert sorted(map(sorted, best_fit(numpy.array([9, 2, 2]), budget=4))) == [[0], [1, 2]]
    assert best_fit(numpy.array([], dtype=int), budget=4) == []


def test_packs_count_what_is_left_after_cutting() -> None:
    from trainer.tokens.packing import Packs

    class View:
        lengths = numpy.array([8, 3, 4])

        def __getitem__(self, index: int) -> Any:
            return {"index": index}

    packs = Packs(View(), budget=8, seed=0)  # type: ignore[arg-type]
    assert len(packs) == 2
    assert [item["index"] for item in packs[0]] == [0]
    assert sorted(item["index"] for item in packs[1]) == [1, 2]
