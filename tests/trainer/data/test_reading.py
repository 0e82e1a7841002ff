import gzip
import json
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from trainer.data.reading import read_rows
from trainer.data.rows import Row

ROW = {"prompt": "a", "completion": 'b\nc, "d" 你好'}


def rows(path: Path) -> list[Row]:
    return list(read_rows(path))


def refused(path: Path) -> Code:
    with pytest.raises(FineTuneError) as raised:
        rows(path)
    return raised.value.problems[0].code


@pytest.fixture
def write(tmp_path: Path):
    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


@pytest.mark.parametrize("kind", ["json", "jsonl", "jsonl named json", "csv", "parquet"])
def test_the_same_rows_come_out_of_every_format(tmp_path: Path, kind: str) -> None:
    path = tmp_path / {"jsonl named json": "a.json"}.get(kind, f"a.{kind}")
    if kind == "json":
        path.write_text(json.dumps([ROW, ROW], indent=2))
    elif kind.startswith("jsonl"):
        path.write_text(json.dumps(ROW) + "\n\n" + json.dumps(ROW) + "\n")
    elif kind == "csv":
        quoted = '"b\nc, ""d"" 你好"'
        path.write_text(f"prompt,completion\na,{quoted}\na,{quoted}\n")
    else:
        import pyarrow as arrow
        import pyarrow.parquet as parquet

        parquet.write_table(arrow.Table.from_pylist([ROW, ROW]), path)
    found = rows(path)
    assert [row.values for row in found] == [ROW, ROW]
    assert [row.row for row in found] == [1, 2]
    expected = {"json": [2, 6], "jsonl": [1, 3], "jsonl named json": [1, 3], "csv": [2, 4], "parquet": [None, None]}
    assert [row.line for row in found] == expected[kind]


def test_a_byte_order_mark_is_no_part_of_the_data(write) -> None:
    assert rows(write("a.jsonl", b"\xef\xbb\xbf" + b'{"a": 1}\n'))[0].values == {"a": 1}
    assert rows(write("a.json", b"\xef\xbb\xbf" + b'[{"a": 1}]'))[0].values == {"a": 1}
    assert rows(write("a.csv", b"\xef\xbb\xbf" + b"a,b\n1,2\n"))[0].values == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.jsonl", "", Code.FILE_EMPTY),
        ("a.json", "  \n \n", Code.FILE_EMPTY),
        ("a.docx", "hello", Code.SUFFIX_UNKNOWN),
        ("a.jsonl.gz", '{"a": 1}', Code.CONTENT_MISMATCH),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}', mtime=0)[:-12], Code.CONTENT_MISMATCH),
        ("a.csv", "a,a\n1,2\n", Code.CONTENT_MISMATCH),
        ("a.csv", "a,b\r1,2\r", Code.CONTENT_MISMATCH),
        ("a.json", "hello", Code.CONTENT_MISMATCH),
        ("a.csv", '{"a": 1}', Code.CONTENT_MISMATCH),
        ("a.parquet", "a,b\n1,2\n", Code.CONTENT_MISMATCH),
        ("a.parquet", b"PAR1 and no more", Code.CONTENT_MISMATCH),
        ("a.jsonl", b"PAR1....", Code.CONTENT_MISMATCH),
        ("a.json", b"\x1f\x8b\x08\x00rest", Code.CONTENT_MISMATCH),
        ("a.json", b"PK\x03\x04rest", Code.CONTENT_MISMATCH),
        ("a.jsonl", '{"a": 1}'.encode("utf-16"), Code.CONTENT_MISMATCH),
    ],
)
def test_file_with_wrong_suffix_is_rejected(write, name: str, content: str | bytes, code: Code) -> None:
    assert refused(write(name, content)) == code


@pytest.mark.parametrize(
    ("name", "content", "line", "rows_there"),
    [
        ("a.json", b'[{"a": "x"},\n{"a": "\xff"},\n{"a": "y"}]', 2, 3),
        ("a.csv", b"a,b\n1,\xff\n3,4\n", 2, 2),
        ("a.txt", b"one\n\ntwo\n\xff", 4, 2),
    ],
)
def test_invalid_utf_8_is_named_by_line(write, name: str, content: bytes, line: int, rows_there: int) -> None:
    found = rows(write(name, content))
    assert [row.problem.params["line"] for row in found if row.problem] == [line]
    assert [row.problem.code for row in found if row.problem] == [Code.ROW_BAD_ENCODING]
    assert len(found) == rows_there


def test_missing_file_and_folder_are_errors(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.json") == Code.FILE_MISSING
    (tmp_path / "folder.json").mkdir()
    assert refused(tmp_path / "folder.json") == Code.FILE_UNREADABLE


def test_bad_lines_are_named_and_the_others_are_read(write) -> None:
    path = write("a.jsonl", b'{"a": 1}\n{"a": \n\n[1]\n{"a": "\xff"}\n{"a": 2}\n')
    found = rows(path)
    assert [row.line for row in found] == [1, 2, 4, 5, 6]
    codes = [row.problem.code if row.problem else None for row in found]
    assert codes == [None, Code.ROW_BROKEN_JSON, Code.ROW_NOT_OBJECT, Code.ROW_BAD_ENCODING, None]


def test_a_broken_array_names_the_line_where_its_row_starts(write) -> None:
    found = rows(write("a.json", '[\n {"a": 1},\n {"a": \n 2 "b"}\n]'))
    assert [(row.row, row.line) for row in found] == [(1, 2), (2, 3)]
    assert found[1].problem is not None
    assert "line 4" in found[1].problem.params["reason"]


def test_truncated_array_is_reported(write) -> None:
    found = rows(write("a.json", '[{"a": 1}, {"a": 2}'))
    assert found[-1].problem is not None


def test_a_csv_row_with_too_many_cells_is_named(write) -> None:
    found = rows(write("a.csv", 'a,b\n1,"x\ny"\n1,2,3\n'))
    assert found[1].problem is not None
    assert (found[1].line, found[1].problem.params["value"]) == (4, 3)


def test_deep_nesting_is_a_bad_row_not_a_crash(write) -> None:
    found = rows(write("a.jsonl", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}\n"))
    assert found[0].problem is not None
    assert found[0].problem.code == Code.ROW_BROKEN_JSON


@pytest.mark.parametrize("rest", ["\n[{}]", " garbage here", ","])
def test_text_after_the_array_is_reported(write, rest: str) -> None:
    found = rows(write("a.json", '[{"a": 1}]' + rest))
    assert [row.values for row in found] == [{"a": 1}, None]


def test_a_number_too_long_for_python_is_a_bad_row(write) -> None:
    number = "9" * 5000
    for name, content in (("a.jsonl", f'{{"a": {number}}}\n'), ("a.json", f'[{{"a": {number}}}]')):
        problem = rows(write(name, content))[0].problem
        assert problem is not None
        assert problem.params["reason"] == "too_many_digits"


def test_nulls_from_column_types_are_dropped(tmp_path: Path) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    calls = [{"name": "f", "arguments": {"city": "Rome"}}, {"name": "g", "arguments": {"n": 3}}]
    values = {"messages": [{"role": "assistant", "content": "", "tool_calls": calls}], "note": None}
    parquet.write_table(arrow.Table.from_pylist([values]), tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet")[0].values == values
