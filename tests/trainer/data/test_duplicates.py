"""Rows that say nearly the same are grouped, others are not."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from interfaces.folders import DatasetFolder, Home
from trainer.data.dataset import add_dataset
from trainer.data.duplicates import SIMILAR, find_duplicates, pieces_of, similarity


def dataset(home: Home, tmp_path: Path, rows: list[tuple[str, str]]) -> DatasetFolder:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"instruction": q, "output": a}) + "\n" for q, a in rows))
    return add_dataset(home, file)


def test_planted_near_duplicates_are_found_and_nothing_else(home: Home, tmp_path: Path) -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) for _ in range(2000)]
    rows = [
        (" ".join(rng.choices(words, k=8)), " ".join(rng.choices(words, k=rng.randint(20, 60)))) for _ in range(600)
    ]
    expected = []
    for number in range(40):
        question, answer = rows[number]
        changed = answer.split()
        changed[rng.randrange(len(changed))] = rng.choice(words)
        rows.append((question.upper(), " ".join(changed)))
        expected.append([number, len(rows) - 1])
    found = find_duplicates(dataset(home, tmp_path, rows))
    assert found.groups == expected
    assert found.repeated == list(range(600, 640))


def test_texts_from_one_template_with_other_answers_are_not_repeated(home: Home, tmp_path: Path) -> None:
    rng = random.Random(2)
    answers = [" ".join(str(rng.random()) for _ in range(6)) for _ in range(50)]
    rows = [(f"Translate the following sentence into German: {n}", answer) for n, answer in enumerate(answers)]
    assert find_duplicates(dataset(home, tmp_path, rows)).groups == []


def test_the_same_document_or_question_with_another_answer_is_no_duplicate(home: Home, tmp_path: Path) -> None:
    document = " ".join(str(n * n) for n in range(8000))
    rows = [
        (f"{document} How many?", "Forty-seven minutes, and not a second more."),
        (f"{document} Which?", "The one that glows in the dark, of course."),
    ]
    rows += [
        ("Is this review positive? " + "very good " * 40, "yes"),
        ("Is this review positive? " + "very good " * 39, "no, it isn't"),
    ]
    assert find_duplicates(dataset(home, tmp_path, rows)).groups == []


def test_short_and_chinese_rows(home: Home, tmp_path: Path) -> None:
    rows = [
        ("a", "b"),
        ("A", "b"),
        ("c", "d"),
        ("今天天气怎么样，适合出去散步吗", "今天晴，很适合散步。"),
        ("今天天气怎么样，适合出去散步吗", "今天晴，很适合散步。！"),
    ]
    assert find_duplicates(dataset(home, tmp_path, rows)).groups == [[0, 1], [3, 4]]


def test_similarity_is_the_share_of_common_pieces(home: Home, tmp_path: Path) -> None:
    from interfaces.example import Example

    one, other = (pieces_of(Example(text=text, row=1)) for text in ("abcdefgh", "abcdefgX"))
    assert similarity(one, one) == 1
    assert similarity(one, other) == pytest.approx(3 / 5)
    assert SIMILAR == 0.8
