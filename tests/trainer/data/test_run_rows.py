"""The rows of a run, as it trains on them and keeps them for validation."""

from pathlib import Path

from interfaces.config import FineTuneConfig
from interfaces.folders import Home
from tests.conftest import alpaca_rows, write_rows
from trainer.data.run_rows import rows_of_run


def test_rows_kept_aside_are_a_share_or_another_dataset(home: Home, tmp_path: Path) -> None:
    train = write_rows(tmp_path / "train.jsonl", alpaca_rows(20))
    split = rows_of_run(home, FineTuneConfig(dataset=str(train), validation_split=0.2))
    assert (len(split.training), len(split.kept_aside), len(split.leaked)) == (16, 4, 0)
    assert not set(split.training) & set(split.kept_aside)
    other = write_rows(tmp_path / "other.jsonl", alpaca_rows(23)[18:])
    separate = rows_of_run(home, FineTuneConfig(dataset=str(train), validation_dataset=str(other)))
    assert (len(separate.training), len(separate.kept_aside), separate.candidates) == (20, 3, 5)
    assert separate.leaked.tolist() == [0, 1], "rows that are trained on validate nothing"
