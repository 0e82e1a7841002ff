import json
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from trainer.data.json_array import array_rows
from trainer.data.reading import read_rows
from trainer.data.rows import Row


def rows(path: Path, text: str | bytes) -> list[Row]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(read_rows(path))


@pytest.mark.parametrize("size", [10, 200_000, 3_000_000])
def test_rows_larger_than_a_window_are_read_whole(tmp_path: Path, size: int) -> None:
    values = [{"a": "x" * size, "n": number} for number in range(4)]
    found = rows(tmp_path / "a.json", json.dumps(values, indent=1))
    assert [row.values for row in found] == values
    assert [row.line for row in found] == [2, 6, 10, 14]


def test_offsets_lead_to_the_elements_in_any_script(tmp_path: Path) -> None:
    values = [{"a": "你好 " * number, "b": [number]} for number in range(1, 50)]
    text = json.dumps(values, ensure_ascii=False, indent=2)
    for row in rows(tmp_path / "a.json", b"\xef\xbb\xbf" + text.encode()):
        raw = (tmp_path / "a.json").read_bytes()[row.offset : (row.offset or 0) + row.length]
        assert json.loads(raw) == row.values


@pytest.mark.parametrize(
    ("text", "good", "bad_lines"),
    [
        ('[\n{"a": 1},\n{"a": 2 3},\n{"a": 3}\n]', [1, 3], [3]),
        ('[\n{"a": 1}\n{"a": 2},\n{"a": 3}\n]', [1, 3], [3]),
        ('[\n{"a": 1, "b": 0},\n{"a": 2 3},\n{"b": 0, "a": 3},\n{"a": 4}\n]', [1, 3, 4], [3]),
        ('[\n{"a": 1},\n"text",\n{"a": 3}\n]', [1, 3], [3]),
        ('[\n{"a": 1},\n{"a": "x\ny"},\n{"a": 3}\n]', [1, 3], [3]),
        ('[\n{"a": 1},\n{"a": 2}', [1, 2], [3]),
        ('[{"a": 1}]\n[{"a": 2}]', [1], [2]),
        ('[\n{"a" 1},\n{"a": 2}\n]', [2], [2]),
        ('[{"a": 1},]', [1], []),
    ],
)
def test_one_mistake_hides_no_other_row(tmp_path: Path, text: str, good: list[int], bad_lines: list[int]) -> None:
    found = rows(tmp_path / "a.json", text)
    assert [row.values["a"] for row in found if row.values] == good
    assert [row.line for row in found if row.problem] == bad_lines


@pytest.mark.parametrize("name", ["data", "rows", "train"])
def test_an_array_inside_of_an_object_is_found(tmp_path: Path, name: str) -> None:
    found = rows(tmp_path / "a.json", json.dumps({name: [{"a": 1}, {"a": 2}]}, indent=1))
    assert [row.values for row in found] == [{"a": 1}, {"a": 2}]


def test_scalars_beside_the_array_are_passed_over(tmp_path: Path) -> None:
    text = json.dumps({"version": "1.0", "n": 5, "data": [{"a": 1}, {"a": 2}], "note": "x", "ok": True}, indent=1)
    assert [row.values for row in rows(tmp_path / "a.json", text)] == [{"a": 1}, {"a": 2}]
    assert rows(tmp_path / "a.json", text[:-1] + "]")[-1].problem is not None


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_objects_printed_over_several_lines_are_rows(tmp_path: Path, name: str) -> None:
    text = "\n".join(json.dumps({"a": number, "b": {"c": [number]}}, indent=2) for number in range(3))
    found = rows(tmp_path / name, text)
    assert [(row.line, row.values) for row in found] == [(1 + 8 * n, {"a": n, "b": {"c": [n]}}) for n in range(3)]
    broken = text.replace('"a": 1', '"a" 1')
    found = rows(tmp_path / name, broken)
    assert [(row.line, row.values is None) for row in found] == [(1, False), (9, True), (17, False)]


def test_an_empty_array_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[ ]")
    assert list(array_rows(tmp_path / "a.json", 1)) == []


@pytest.mark.parametrize("value", ["[" * 100_000, '{"a": ' * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_what_python_itself_refuses_is_a_bad_row(tmp_path: Path, value: str) -> None:
    found = rows(tmp_path / "a.json", '[{"a": 1},\n' + value)
    assert found[1].problem is not None


@pytest.mark.parametrize(("first", "second"), [("train", "test"), ("test", "train"), ("data", "validation")])
@pytest.mark.parametrize("between", [{}, {"version": "1.0", "n": 2}])
def test_several_lists_in_one_object_are_named_not_called_broken(
    tmp_path: Path, first: str, second: str, between: dict[str, object]
) -> None:
    with pytest.raises(FineTuneError, match=second) as raised:
        rows(tmp_path / "a.json", json.dumps({first: [{"a": 1}], **between, second: [{"a": 2}]}))
    assert raised.value.problems[0].code == Code.FILE_SPLITS


def test_duplicate_key_in_an_array_row_is_named(tmp_path: Path) -> None:
    good, bad = rows(tmp_path / "a.json", '[{"a": 1},\n{"a": 1, "a": 2}]')
    assert good.values == {"a": 1}
    assert bad.problem is not None
    assert (bad.problem.code, bad.problem.params["line"], bad.problem.params["field"]) == (Code.ROW_KEY_TWICE, 2, "a")
