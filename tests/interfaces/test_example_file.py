from pathlib import Path

import pytest

from interfaces.example import Example, Message
from interfaces.example_file import INDEX_FIELDS, INDEX_ROW, ExampleFile, ExampleWriter
from interfaces.folders import DatasetFolder


@pytest.fixture
def written(tmp_path: Path) -> ExampleFile:
    folder = DatasetFolder(tmp_path)
    writer = ExampleWriter(folder)
    for number in range(1, 101):
        example = Example(messages=(Message(role="user", content=f"q{number} 你好"),), row=number * 2)
        writer.append(
            example.model_dump_json(exclude_defaults=True).encode(), group=number, row=number * 2, flags=number % 2
        )
    writer.close()
    return ExampleFile(folder)


def test_any_row_is_read_by_its_position(written: ExampleFile) -> None:
    assert len(written) == 100
    assert [written[position].row for position in (0, 57, 99)] == [2, 116, 200]
    assert [example.row for example in written] == list(range(2, 202, 2))
    assert written.entry(9)[1:] == (10, 20, 0, 0)
    with pytest.raises(IndexError):
        written[100]


def test_text_search_starts_at_a_position(written: ExampleFile) -> None:
    assert written.find("q42 你", 0) == 41
    assert written.find("q4", 41) == 41
    assert written.find("q42 你", 42) is None
    assert written.find("q1 ", 100) is None


def test_struct_and_numpy_read_the_same_index() -> None:
    numpy = pytest.importorskip("numpy", reason="not installed: make setup")
    assert numpy.dtype(INDEX_FIELDS).itemsize == INDEX_ROW.size == 24


def test_a_dataset_without_a_row_has_none(tmp_path: Path) -> None:
    folder = DatasetFolder(tmp_path)
    ExampleWriter(folder).close()
    assert list(ExampleFile(folder)) == []
