import time
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from trainer.data.reading import read_rows
from trainer.data.rows import Row


def rows(path: Path, text: str | bytes) -> list[Row]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(read_rows(path))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_header_s(tmp_path: Path, delimiter: str) -> None:
    found = rows(tmp_path / "a.csv", f"question{delimiter}answer\na{delimiter}b, c; d\n".replace("b, c; d", "b"))
    assert [row.values for row in found] == [{"question": "a", "answer": "b"}]


def test_a_tsv_keeps_its_commas(tmp_path: Path) -> None:
    assert rows(tmp_path / "a.tsv", "a,x\tb\n1,2\t3\n")[0].values == {"a,x": "1,2", "b": "3"}


def test_lines_and_offsets_stay_right_after_multiline_cells(tmp_path: Path) -> None:
    text = 'a,b\r\n1,"x\r\ny"\r\n2,"ü"\r\n\r\n3,z\r\n'
    found = rows(tmp_path / "a.csv", text)
    assert [(row.line, row.values["b"]) for row in found if row.values] == [(2, "x\r\ny"), (4, "ü"), (6, "z")]
    for row in found:
        assert text.encode()[row.offset :].startswith(row.values["a"].encode())  # type: ignore[index]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ('2,"never closed', Code.ROW_BROKEN_CSV),
        ('2,"closed" too early', Code.ROW_BROKEN_CSV),
        ("2", Code.ROW_COLUMNS),
        ("2,x,y", Code.ROW_COLUMNS),
    ],
)
def test_broken_row_is_named_and_later_rows_read(tmp_path: Path, bad: str, code: Code) -> None:
    found = rows(tmp_path / "a.csv", f"a,b\n1,one\n{bad}\n3,three\n4,four\n")
    assert [(row.line, row.problem.code) for row in found if row.problem] == [(3, code)]
    assert [row.values["a"] for row in found if row.values] == ["1", "3", "4"]
    assert [row.line for row in found] == [2, 3, 4, 5]


def test_a_header_with_one_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FineTuneError) as raised:
        rows(tmp_path / "a.csv", "a,b,a\n1,2,3\n")
    assert "two columns are named 'a'" in str(raised.value)


def test_excel_and_pandas_extras_are_handled(tmp_path: Path) -> None:
    found = rows(tmp_path / "a.csv", "sep=;\r\nquestion;answer;;\r\nq;a;;\r\n")
    assert [(row.line, row.values) for row in found] == [
        (3, {"question": "q", "answer": "a", "column 3": "", "column 4": ""})
    ]
    assert rows(tmp_path / "b.csv", ",question,answer\n0,q,a\n")[0].values == {
        "column 1": "0",
        "question": "q",
        "answer": "a",
    }


def test_blank_lines_before_the_header_are_none(tmp_path: Path) -> None:
    found = rows(tmp_path / "a.csv", "\n\r\nquestion;answer\na;b\n")
    assert [(row.line, row.values) for row in found] == [(4, {"question": "a", "answer": "b"})]


def test_non_utf_8_header_is_reported_once(tmp_path: Path) -> None:
    with pytest.raises(FineTuneError, match=r"header is not UTF-8 \(byte 0xce") as raised:
        rows(tmp_path / "a.csv", "问题,答案\n你好,您好\n".encode("gbk"))
    assert raised.value.problems[0].code == Code.CONTENT_MISMATCH


def test_parsing_time_is_linear_in_columns(tmp_path: Path) -> None:
    header = ["question", "answer", *(f"c{number}" for number in range(100_000))]
    begun = time.process_time()
    found = rows(tmp_path / "a.csv", f"{','.join(header)}\n{'a,' * len(header)}\n".replace(",\n", "\n"))
    assert len(found[0].values or {}) == len(header)
    assert time.process_time() - begun < 10, "a hundred times as many comparisons take minutes"


@pytest.mark.parametrize("first", [";;", "   ", ";\n;"])
def test_an_empty_first_row_of_excel_s_is_no_header(tmp_path: Path, first: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{first}\ninstruction;output\na;b\n", encoding="utf-8")
    assert [row.values for row in read_rows(path)] == [{"instruction": "a", "output": "b"}]
