import json
from pathlib import Path

import pytest

from interfaces.dataset_records import DatasetReport
from interfaces.errors import FineTuneError
from interfaces.example_file import ExampleFile
from interfaces.folders import Home
from interfaces.problems import Code
from trainer.data.dataset import add_dataset
from trainer.data.editing import edit_rows

ROW = '{"prompt": "%s", "completion": "%s"}'
FILES = {
    "a.jsonl": "\n".join([ROW % ("q1", "a1"), "{broken", "", '{"prompt": "q3"}', ROW % ("q4", "a4")]) + "\n",
    "a.json": "[\n  " + ",\n  ".join([ROW % ("q1", "a1"), '{"prompt" "broken"}', '{"prompt": "q3"}', ROW % ("q4", "a4")]) + "\n]\n",
    "wrapped.json": '{"version": 1, "data": [' + ", ".join([ROW % ("q1", "a1"), '{"prompt" "broken"}', '{"prompt": "q3"}', ROW % ("q4", "a4")]) + "]}",
    "bare.json": "\n".join([ROW.replace(", ", ",\n") % ("q1", "a1"), '{"prompt":\n"broken"', '{"prompt": "q3"}', ROW % ("q4", "a4")]) + "\n",
    "a.csv": 'prompt,completion\nq1,a1\nbroken\nq3,""\nq4,"a\n4"\n',
}  # fmt: skip
MENDED = {"a.csv": "q2,a2"}


def answers(home: Home, folder: object) -> list[str]:
    return [example.messages[-1].content for example in ExampleFile(folder)]  # type: ignore[arg-type]


@pytest.fixture(params=FILES)
def added(request: pytest.FixtureRequest, home: Home, tmp_path: Path):
    home.cache.mkdir(parents=True)
    (tmp_path / request.param).write_text(FILES[request.param])
    return request.param, add_dataset(home, tmp_path / request.param)


def test_rows_are_fixed_in_place(home: Home, added) -> None:
    name, folder = added
    assert DatasetReport.required(folder).invalid == 2
    text = MENDED.get(name, ROW % ("q2", "a2"))
    mended = edit_rows(home, folder, {2: text, 3: text.replace("2", "3")})
    report = DatasetReport.required(mended)
    assert (report.valid, report.rows, report.name) == (4, 4, name)
    assert [answer.replace("\n", "") for answer in answers(home, mended)] == ["a1", "a2", "a3", "a4"]
    assert DatasetReport.required(folder).invalid == 2  # the old one stays


@pytest.mark.parametrize("gone", [(2,), (2, 3), (1, 2, 3), (2, 3, 4)])
def test_rows_are_taken_out_and_the_file_stays_one(home: Home, added, gone: tuple[int, ...]) -> None:
    _, folder = added
    changed = edit_rows(home, folder, dict.fromkeys(gone))
    left = [answer for number, answer in ((1, "a1"), (4, "a4")) if number not in gone]
    assert [answer.replace("\n", "") for answer in answers(home, changed)] == left
    assert DatasetReport.required(changed).rows == 4 - len(gone)


def test_unfixable_rows_report_the_reason(home: Home, added, tmp_path: Path) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    with pytest.raises(FineTuneError) as raised:
        edit_rows(home, added[1], {99: "x"})
    assert raised.value.problems[0].code == Code.ROW_NUMBER_UNKNOWN
    parquet.write_table(arrow.Table.from_pylist([json.loads(ROW % ("q", "a"))]), tmp_path / "p.parquet")
    with pytest.raises(FineTuneError) as raised:
        edit_rows(home, add_dataset(home, tmp_path / "p.parquet"), {1: "x"})
    assert raised.value.problems[0].code == Code.NOT_EDITABLE
