from pathlib import Path

import numpy
import pytest

from interfaces.folders import Home
from tests.conftest import alpaca_rows, write_rows
from trainer.data.dataset import add_dataset, index_of
from trainer.data.mixing import mix_datasets
from trainer.data.splitting import split_rows, without_leaks


@pytest.mark.parametrize(("share", "kept_aside"), [(0, 0), (0.1, 2), (0.01, 1), (0.5, 10)])
def test_the_split_is_by_seed_whole_and_apart(home: Home, tmp_path: Path, share: float, kept_aside: int) -> None:
    index = index_of(add_dataset(home, write_rows(tmp_path / "rows.jsonl", alpaca_rows(20))))
    used = numpy.arange(20)
    training, validation = split_rows(index, used, share, seed=1)
    assert len(validation) == kept_aside
    assert sorted([*training, *validation]) == list(range(20))
    again = split_rows(index, used, share, seed=1)
    assert (again[1] == validation).all()
    if kept_aside:
        assert split_rows(index, used, share, seed=2)[1].tolist() != validation.tolist()


def test_a_single_row_is_trained_not_kept_aside(home: Home, tmp_path: Path) -> None:
    index = index_of(add_dataset(home, write_rows(tmp_path / "one.jsonl", alpaca_rows(1))))
    assert [part.tolist() for part in split_rows(index, numpy.arange(1), 0.5, seed=1)] == [[0], []]


@pytest.mark.parametrize("seed", range(20))
def test_equal_rows_stay_in_one_split(home: Home, tmp_path: Path, seed: int) -> None:
    rows = alpaca_rows(10)
    shouted = [{key: text.upper() for key, text in row.items()} for row in rows]
    index = index_of(add_dataset(home, write_rows(tmp_path / "rows.jsonl", [*rows, *shouted, *rows])))
    training, validation = split_rows(index, numpy.arange(30), 0.2, seed)
    assert not set(index[training]["group"]) & set(index[validation]["group"])
    assert len(validation) == 6
    assert len(training) == 24


def test_each_source_gives_its_share(home: Home, tmp_path: Path) -> None:
    small = add_dataset(home, write_rows(tmp_path / "a.jsonl", alpaca_rows(20))).id
    large = add_dataset(
        home, write_rows(tmp_path / "b.jsonl", [{"prompt": f"p{n}", "completion": "c"} for n in range(200)])
    ).id
    index = index_of(mix_datasets(home, {small: 1, large: 1}))
    _, validation = split_rows(index, numpy.arange(220), 0.1, seed=3)
    assert numpy.bincount(index[validation]["source"]).tolist() == [2, 20]


def test_leaked_validation_rows_are_removed(home: Home, tmp_path: Path) -> None:
    training = index_of(add_dataset(home, write_rows(tmp_path / "a.jsonl", alpaca_rows(10))))
    validation = index_of(add_dataset(home, write_rows(tmp_path / "b.jsonl", alpaca_rows(14)[8:])))
    kept, leaked = without_leaks(training, validation, numpy.arange(6))
    assert (kept.tolist(), leaked.tolist()) == ([2, 3, 4, 5], [0, 1])
