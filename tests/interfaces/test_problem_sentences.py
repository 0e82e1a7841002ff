import re
import string

import pytest

from interfaces.events import PhaseName
from interfaces.problem_sentences import LANGUAGES, PHASES, SENTENCES, sentence, size
from interfaces.problems import Code, Problem


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_every_code_has_a_sentence_with_the_same_parameters_everywhere() -> None:
    assert len(Code) >= 50
    for language in LANGUAGES:
        assert set(SENTENCES[language]) == set(Code)
    for code in Code:
        assert placeholders(SENTENCES["en"][code]) == placeholders(SENTENCES["zh"][code]), code


def test_english_has_no_chinese_and_the_other_way_round() -> None:
    for code in Code:
        assert not re.search(r"[\u4e00-\u9fff]", SENTENCES["en"][code])
        assert re.search(r"[\u4e00-\u9fff]", SENTENCES["zh"][code])


def test_every_phase_has_words() -> None:
    for language in LANGUAGES:
        assert set(PHASES[language]) == set(PhaseName.__args__)  # type: ignore[attr-defined]


def test_bad_rows_are_named_one_by_one() -> None:
    rows = [
        Problem.error(Code.ROW_FIELD_MISSING, path="a.jsonl", row=3, line=5, field="output").model_dump(mode="json"),
        Problem.error(Code.ROW_FIELD_EMPTY, path="a.parquet", row=7, line=None, field="output").model_dump(mode="json"),
    ]
    text = sentence(Problem.error(Code.BAD_ROWS, path="a.jsonl", count=30, rows=100, first=rows))
    assert "30 rows at fault of 100" in text
    assert "a.jsonl line 5: the field 'output' is missing." in text
    assert "a.parquet row 7:" in text
    assert text.endswith("and 28 more.")


def test_braces_in_a_value_are_only_text() -> None:
    assert "{field}" in sentence(Problem.error(Code.FILE_MISSING, path="{field}.json"))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (92_871_040, "92.9 MB"), (2.5e9, "2.5 GB"), (3e12, "3.0 TB")],
)
def test_sizes_read_well(count: float, text: str) -> None:
    assert size(count) == text
