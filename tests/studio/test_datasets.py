from pathlib import Path

import pytest

from interfaces.folders import Home
from interfaces.problems import Code, FineTuneError
from studio.datasets import dataset_name, ensure_dataset

pytestmark = pytest.mark.process


def test_a_file_is_added_and_its_id_is_known_afterwards(home: Home, rows_file: Path) -> None:
    dataset = ensure_dataset(home, str(rows_file))
    assert ensure_dataset(home, dataset) == dataset
    assert dataset_name(home, dataset) == "rows.jsonl"
    assert dataset_name(home, "/else/where.json") == "where.json"


def test_what_cannot_be_used_is_told_by_the_child(home: Home, tmp_path: Path) -> None:
    (tmp_path / "-rf.jsonl").write_text("[]")
    for name, code in (("none.jsonl", Code.FILE_MISSING), ("-rf.jsonl", Code.ROW_NOT_OBJECT)):
        with pytest.raises(FineTuneError) as raised:
            ensure_dataset(home, str(tmp_path / name))
        problem = raised.value.problems[0]
        assert code in (problem.code, problem.params.get("first", [{}])[0].get("code"))
