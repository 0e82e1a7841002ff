"""The sample and its questions: every demo, and the page's first click, stands on them."""

import json

from studio.datasets.sample import SAMPLE, SAMPLES, questions


def test_questions_are_held_out_with_expected_answers() -> None:
    rows = [json.loads(line) for line in (SAMPLES / SAMPLE).read_text(encoding="utf-8").splitlines()]
    asked = {row["instruction"] for row in rows}
    assert len(rows) == 100
    assert len(questions()) == 10
    for row in questions():
        assert row.question not in asked
        assert row.expect
