from interfaces.steps import packs_about, rows_kept_aside, updates_per_epoch


def test_validation_split_holds_out_at_least_one_row() -> None:
    assert [rows_kept_aside(rows, 0.05) for rows in (200, 190, 3, 1, 0)] == [10, 10, 1, 0, 0]
    assert rows_kept_aside(200, 0.0) == 0


def test_leftover_batches_make_an_update() -> None:
    assert [updates_per_epoch(batches, 4) for batches in (1, 4, 5, 8)] == [1, 1, 2, 2]


def test_packs_are_estimated_as_full() -> None:
    assert (packs_about(1000, 500), packs_about(1001, 500)) == (2, 3)
