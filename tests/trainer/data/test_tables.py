"""Sheets and tables: every cell as a person sees it, and every fault by its cell."""

import sqlite3
import zipfile
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import DatasetFolder
from interfaces.problems import Code
from interfaces.texts import sentence
from tests.support.workbooks import Sheets, write_ods, write_xlsx
from trainer.data import tables
from trainer.data.inspection import Inspection
from trainer.data.reading import read_rows

GOOD: Sheets = {"Rows": [["instruction", "output"], ["q1", "a1"], ["q2", "a2"]]}


def values(path: Path, part: str = "paragraph") -> list[dict[str, str] | None]:
    return [row.values for row in read_rows(path, part)]


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_a_sheet_is_read_below_its_header_wherever_that_stands(tmp_path: Path, kind: str) -> None:
    rows = [
        [None, None, None],
        [None, "instruction", "output"],
        [None, "q1", "a1"],
        [None, None, None],
        [None, "q2", "a\n2"],
    ]
    path = (write_xlsx if kind == "xlsx" else write_ods)(tmp_path / f"a.{kind}", {"Rows": rows, "Empty": []})
    found = list(read_rows(path))
    assert [row.values for row in found] == [
        {"instruction": "q1", "output": "a1"},
        {"instruction": "q2", "output": "a\n2"},
    ]
    assert [(row.row, row.line, row.cells["output"]) for row in found if row.cells] == [(1, 3, "C3"), (2, 5, "C5")]


def test_a_cell_is_the_text_that_a_person_sees(tmp_path: Path) -> None:
    row = [5, 2.5, True, ("date", "45000"), ("date", "45000.5"), ("formula", "cached & shown"), "text"]
    path = write_xlsx(tmp_path / "a.xlsx", {"Rows": [[f"c{n}" for n in range(len(row))], row]})
    [found] = values(path)
    assert found is not None
    assert list(found.values()) == ["5", "2.5", "true", "2023-03-15", "2023-03-15T12:00:00", "cached & shown", "text"]


def test_faults_are_named_by_their_cell(tmp_path: Path) -> None:
    rows = [["instruction", "output"], ["q1", None], ["q2", ("error", "#REF!")], ["q3", "a3"], ["q4", "N/A"]]
    path = write_xlsx(tmp_path / "a.xlsx", {"Rows": rows})
    report = Inspection(path, DatasetFolder(tmp_path / "set")).run()
    reported = [sentence(record.problem) for record in report.first]
    assert [line.split(":")[0] for line in reported] == ["a.xlsx cell B2", "a.xlsx cell B3", "a.xlsx cell B5"]
    assert (report.rows, report.invalid, report.suspicious) == (4, 2, 1)


@pytest.mark.parametrize("kind", ["xlsx", "sqlite"])
def test_one_of_several_sheets_is_chosen_by_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "xlsx":
        write_xlsx(path, {**GOOD, "Other": [["text"], ["words"]]})
    else:
        with sqlite3.connect(path) as database:
            database.executescript(
                'CREATE TABLE "Rows"(instruction, output); CREATE TABLE "Other"(text); INSERT INTO "Other" VALUES (\'words\')'
            )
    for wanted in ("paragraph", "Nowhere"):
        with pytest.raises(FineTuneError) as raised:
            values(path, wanted)
        assert raised.value.problems[0].code is Code.TABLE_CHOICE
        assert set(raised.value.problems[0].params["known"]) == {"Rows", "Other"}
    assert values(path, "Other") == [{"text": "words"}]


def test_a_database_is_read_and_never_written_or_run(tmp_path: Path) -> None:
    path = tmp_path / "odd name?#.db"
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE talks(prompt TEXT, completion TEXT, n INTEGER); CREATE VIEW harm AS SELECT writefile('x', 'y');"
            "INSERT INTO talks VALUES ('q', 'a', 7), ('q2', NULL, 8), (CAST(x'ff41' AS TEXT), 'a3', 9)"
        )
    before = path.read_bytes()
    found = values(path)
    assert found[:2] == [{"prompt": "q", "completion": "a", "n": "7"}, {"prompt": "q2", "n": "8"}]
    report = Inspection(path, DatasetFolder(tmp_path / "set")).run()
    assert (report.rows, report.invalid) == (3, 2)
    assert [record.row for record in report.first] == [2, 3]
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == [path.name]
    with pytest.raises(FineTuneError):
        values(path, "harm")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.xlsx", b"instruction,output\n", "it is not a workbook"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0" + b"\0" * 600, "password-protected"),
        ("a.xlsx", b"PK\x03\x04broken", "it is not a workbook"),
        ("a.xls", b"PK\x03\x04", "it is not an Excel 97-2003 workbook"),
        ("a.ods", b"PK\x05\x06" + b"\0" * 18, "content doesn't match"),
        ("a.db", b"not a database at all", "it is not a SQLite database"),
        ("a.db", tables.SQLITE_MAGIC + b"\0" * 200, "content doesn't match"),
    ],
)
def test_invalid_table_file_is_an_error(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FineTuneError, match=says):
        values(tmp_path / name)


def test_a_workbook_that_unpacks_to_too_much_is_refused_unread(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", GOOD)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/media/bomb.xml", "w") as bomb:
        for _ in range(tables.MOST_UNPACKED // 10_000_000 + 1):
            bomb.write(b"\0" * 10_000_000)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(FineTuneError) as raised:
        values(path)
    assert raised.value.problems[0].code is Code.UNPACKS_TOO_LARGE


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"Rows": [["text", "text"], ["a", "b"]]})
    with pytest.raises(FineTuneError, match="two columns are named 'text'"):
        values(path)
