import gzip
import json
from pathlib import Path

import pytest

from interfaces.problems import Code
from interfaces.texts import texts
from trainer.data.rows import as_row, kind_of, mismatch, open_data


def test_non_object_rows_are_problems_with_position() -> None:
    assert as_row("a.jsonl", 3, 7, {"x": 1}, 40, b'{"x": 1}').values == {"x": 1}
    found = as_row("a.jsonl", 3, 7, [1], 40, b"[1]")
    assert found.values is None
    assert found.problem is not None
    assert (found.problem.code, found.problem.params["line"], found.offset) == (Code.ROW_NOT_OBJECT, 7, 40)


@pytest.mark.parametrize(
    ("value", "words"),
    [({}, "an object"), ([], "a list"), ("", "text"), (True, "true or false"), (1.5, "a number"), (None, "null")],
)
def test_value_types_have_json_names(value: object, words: str) -> None:
    assert texts("reason").get(kind_of(value), kind_of(value)) == words


def test_a_compressed_file_is_opened_as_what_is_inside(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"inside"))
    (tmp_path / "a.jsonl").write_bytes(b"plain")
    assert [open_data(tmp_path / name).read() for name in ("a.jsonl.gz", "a.jsonl")] == [b"inside", b"plain"]


def test_a_file_that_is_something_else_is_named_with_its_suffix() -> None:
    (problem,) = mismatch(Path("folder/a.csv"), "is_json").problems
    assert problem.params == {"path": "a.csv", "suffix": ".csv", "reason": "is_json", "seen": ""}


@pytest.mark.parametrize(
    ("raw", "twice"),
    [
        (b'{"a": 1, "b": 2, "a": 3}', "a"),
        (b'{"a" : 1, "a" : 3}', "a"),
        (b'{"m": [{"role": "user", "role": "assistant"}]}', "role"),
        (b'{"a": "x\\": y", "b": {"a": 1}}', None),
        (b'{"a": "says \\"b\\": 1"}', None),
        (b'{"a":\n\t1, "b"\t:2}', None),
    ],
)
def test_only_duplicate_keys_are_named(raw: bytes, twice: str | None) -> None:
    problem = as_row("a.jsonl", 1, 1, json.loads(raw), 0, raw).problem
    assert (problem.params["field"] if problem else None) == twice
