"""Tables that were written by their columns are read as rows, and nothing else is taken for one."""

import json
from pathlib import Path
from typing import Any

import pandas
import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import DatasetFolder
from trainer.data.inspection import Inspection
from trainer.data.reading import read_rows

ROWS = [{"prompt": "a?", "completion": "b"}, {"prompt": "c?", "completion": "d"}, {"prompt": "e?", "completion": "f"}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("orient", ["columns", "index", "split", "records", "list"])
def test_every_pandas_json_orient_gives_the_same_rows(tmp_path: Path, orient: Any, indent: int | None) -> None:
    path, table = tmp_path / "a.json", pandas.DataFrame(ROWS)
    text = json.dumps(table.to_dict(orient="list")) if orient == "list" else table.to_json(orient=orient)
    path.write_text(json.dumps(json.loads(text), indent=indent))
    assert [row.values for row in read_rows(path)] == ROWS
    assert [row.row for row in read_rows(path)] == [1, 2, 3]


def test_a_column_of_conversations_is_one_of_lists(tmp_path: Path) -> None:
    talks = [[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]] * 2
    (tmp_path / "a.json").write_text(json.dumps({"messages": talks, "id": ["1", "2"]}))
    assert [row.values for row in read_rows(tmp_path / "a.json")] == [
        {"messages": talks[0], "id": "1"},
        {"messages": talks[1], "id": "2"},
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
        {"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]},
        {"meta": {"source": "x"}, "prompt": "q", "completion": "a"},
        {"tags": ["x", "y"], "prompt": "q", "completion": "a"},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_a_single_row_is_no_table(tmp_path: Path, row: dict[str, Any], indent: int | None) -> None:
    (tmp_path / "a.json").write_text(json.dumps(row, indent=indent))
    assert [found.values for found in read_rows(tmp_path / "a.json")] == [row]


def test_null_cells_in_column_json_are_ignored(tmp_path: Path) -> None:
    table = {
        "prompt": {"0": "q?", "1": "r?"},
        "system": {"0": None, "1": "be brief"},
        "completion": {"0": "a", "1": "b"},
    }
    (tmp_path / "a.json").write_text(json.dumps(table))
    report = Inspection(tmp_path / "a.json", DatasetFolder(tmp_path / "d")).run()
    assert (report.valid, report.format, report.columns["system"]) == (2, "prompt_completion", "system")


def rows(tmp_path: Path, content: str) -> list[Any]:
    path = tmp_path / "a.json"
    path.write_text(content, encoding="utf-8")
    return [row.values for row in read_rows(path)]


ROW = {"instruction": "a", "output": "b"}


@pytest.mark.parametrize(
    "content",
    [
        '{"train": {"instruction": ["a"], "output": ["b"]}}',
        '{"Train": [{"instruction": "a", "output": "b"}]}',
        '{"schema": {"fields": []}, "data": [{"instruction": "a", "output": "b"}]}',
        '{"instruction": {"x": "a", "y": "a"}, "output": {"x": "b", "y": "b"}}',
    ],
)
def test_splits_tables_and_named_rows_are_rows(tmp_path: Path, content: str) -> None:
    assert rows(tmp_path, content)[0] == ROW


def test_two_splits_and_a_column_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FineTuneError, match="'test' follows the first one"):
        rows(tmp_path, '{"train": {"text": ["a"]}, "test": {"text": ["b"]}}')
    with pytest.raises(FineTuneError, match="'output' appears twice"):
        rows(tmp_path, '{"instruction": ["a"], "output": ["c"], "output": ["e"]}')
