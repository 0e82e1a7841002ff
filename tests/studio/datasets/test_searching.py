"""Rows are found by their text alone, ordered by length, and filtered by warnings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interfaces.folders import DatasetFolder, Home
from studio.datasets import searching
from studio.datasets.searching import find_rows
from trainer.data.dataset import add_dataset

ROWS = [
    ("Who is Ada?", 'She said "hi" and left.\nThen: {"a": 1}'),
    ("What is true?", "Nothing 12 is, user."),
    ("Grüße?", "Ünïcode ist gut"),
    ("What is true?", "Nothing 12 is, user."),
    ("B", "a much longer answer than all of the others, so that it comes first by its length; and again: longer"),
]


@pytest.fixture
def folder(home: Home, tmp_path: Path) -> DatasetFolder:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"instruction": q, "output": a}) + "\n" for q, a in ROWS))
    return add_dataset(home, file)


@pytest.mark.parametrize("chunk", [1, 300, 1 << 20])
@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("ada", [0]), ("ADA?", [0]), ("Grüße", [2]), ("12", [1, 3]), ("user", [1, 3]), ("USER.", [1, 3]), ("true", [1, 3]),
        ('"hi"', [0]), ('{"a": 1}', [0]), ("left.\nThen", [0]), ("content", []), ("assistant", []), ("role", []),
        ("1", [0, 1, 3]), ("null", []), ("x" * 999, []), ('"', [0]), ("\\", []), ("messages", []), (":", [0, 4]), ("nthen", []),
        ("1,", []), ("then: {", [0]), ("\\nthen", []), ("t", [0, 1, 2, 3, 4]),
    ],
)  # fmt: skip
def test_text_is_found_but_not_the_structure(
    folder: DatasetFolder, text: str, positions: list[int], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "CHUNK_BYTES", chunk)
    searching._positions.cache_clear()
    found = find_rows(folder, text)
    assert [row.position for row in found.rows] == positions
    assert found.total == len(positions)


def test_rows_are_ordered_filtered_and_paged(folder: DatasetFolder) -> None:
    longest = [row.position for row in find_rows(folder, order="longest").rows]
    assert longest[0] == 4
    assert [row.position for row in find_rows(folder, order="shortest").rows][-1] == 4
    warned = find_rows(folder, only_warnings=True)
    assert [row.position for row in warned.rows] == [3]  # it repeats an earlier one
    page = find_rows(folder, start=3, count=10)
    assert (page.total, [row.position for row in page.rows]) == (5, [3, 4])
    assert find_rows(folder, "true", start=1, count=1).rows[0].example.messages[0].content == "What is true?"
    assert find_rows(folder, start=99).rows == []
