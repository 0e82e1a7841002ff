import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from interfaces.config import fields
from interfaces.events import PhaseName
from interfaces.problems import Code, Problem
from interfaces.texts import LANGUAGES, LOCALE, sentence, size, texts

ROOT = Path(__file__).parents[2]
HAN = re.compile(r"[\u4e00-\u9fff]")
SHARED = ("problem", "part", "phase", "page", "label", "model", "reading", "advice")
"""The contexts that every catalog has."""


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("context", SHARED)
def test_both_catalogs_hold_the_same_keys_with_the_same_values(context: str) -> None:
    english, chinese = texts(context), texts(context, "zh")
    assert set(english) == set(chinese)
    for key in english:
        assert english[key]
        assert placeholders(english[key]) == placeholders(chinese[key]), key
        for form in english.forms(key):
            assert placeholders(english[key]) == placeholders(form), key


def test_no_key_is_duplicate_or_fuzzy() -> None:
    for language in LANGUAGES:
        catalog = (LOCALE / f"{language}.po").read_text(encoding="utf-8")
        keys = re.findall(r'^msgctxt "(.+)"\nmsgid "(.+)"$', catalog, re.M)
        assert len(keys) == len(set(keys)) > 500
        assert "fuzzy" not in catalog


def test_every_code_has_a_sentence_in_its_language() -> None:
    assert set(texts("problem")) == set(Code)
    for code in Code:
        assert not HAN.search(texts("problem")[code])
        assert HAN.search(texts("problem", "zh")[code])


def test_every_phase_has_words() -> None:
    assert set(texts("phase")) == set(PhaseName.__args__)  # type: ignore[attr-defined]


def test_every_form_setting_has_label_and_chinese_help() -> None:
    shown = {name: field for name, field in fields() if name in texts("label")}
    assert {name for name, _ in fields()} - set(shown) == {
        "schema_version",
        "output_dir",
        "model_name",
        "dataset",
        "columns",
    }
    assert set(texts("label")) == set(texts("help", "zh")) == set(shown)
    units = {
        str(field.json_schema_extra.get("unit"))
        for field in shown.values()
        if isinstance(field.json_schema_extra, dict)
    }
    assert units - {"", "None"} == set(texts("unit", "zh"))


def test_every_kind_of_row_problem_has_a_name_on_the_page() -> None:
    kinds = {code.removeprefix("row_") for code in Code if code.startswith("row_")} - {"number_unknown"}
    assert {f"kind_{kind}" for kind in kinds} == {key for key in texts("page") if key.startswith("kind_")}


def test_texts_used_by_scripts_exist() -> None:
    asked = set()
    for script in (ROOT / "studio/static").glob("*.js"):
        asked |= set(re.findall(r"\btexts\.(\w+)", script.read_text(encoding="utf-8")))
    assert len(asked) > 100
    assert asked <= set(texts("page"))


@pytest.mark.parametrize(("count", "words"), [(1, "1 of 5 rows is"), (2, "2 of 5 rows are"), (0, "0 of 5 rows are")])
def test_count_selects_the_plural(count: int, words: str) -> None:
    problem = Problem.warning(Code.ROWS_CUT, count=count, rows=5, max_length=64, longest=100)
    assert sentence(problem).startswith(words)
    assert f"有 {count} 行" in sentence(problem, "zh")


def test_bad_rows_are_named_one_by_one() -> None:
    rows = [
        Problem.error(Code.ROW_FIELD_MISSING, path="a.jsonl", row=3, line=5, field="output").model_dump(mode="json"),
        Problem.error(Code.ROW_FIELD_EMPTY, path="a.parquet", row=7, line=None, field="output").model_dump(mode="json"),
    ]
    text = sentence(Problem.error(Code.BAD_ROWS, path="a.jsonl", count=30, rows=100, first=rows))
    assert "30 invalid rows out of 100" in text
    assert "a.jsonl line 5: the field 'output' is missing." in text
    assert "a.parquet row 7:" in text
    assert text.endswith("and 28 more.")


def test_braces_in_values_stay_literal() -> None:
    assert "{field}" in sentence(Problem.error(Code.FILE_MISSING, path="{field}.json"))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (92_871_040, "92.9 MB"), (2.5e9, "2.5 GB"), (3e12, "3.0 TB")],
)
def test_sizes_read_well(count: float, text: str) -> None:
    assert size(count) == text


def glossary() -> list[tuple[str, list[str], list[str]]]:
    """Each term with its Chinese, and the words that neither catalog uses for it."""
    lines = (ROOT / "docs/glossary.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    return [(row[0], row[1].split(", "), row[4].split(", ") if row[4] else []) for row in cells[1:]]


@pytest.mark.parametrize(
    ("term", "chinese", "banned"), glossary(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_texts_keep_to_the_glossary(term: str, chinese: list[str], banned: list[str]) -> None:
    said = re.compile(rf"\b{re.escape(term)}s?\b", re.IGNORECASE)
    for context in SHARED:
        for key in texts(context):
            english, translated = " / ".join(texts(context).forms(key)), texts(context, "zh")[key]
            assert not [word for word in banned if word in english or word in translated], (context, key)
            assert not said.search(english) or any(word in translated for word in chinese), (context, key, translated)


def literals() -> Iterator[tuple[str, ast.AST]]:
    """Every text that the code gives as a reason, or as what was expected."""
    names, makers = {"reason", "expected"}, {"mismatch": 1, "unusable": 1, "_rejected": 1, "refuse": 2}
    for path in (path for package in ("interfaces", "studio", "trainer") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            given: list[ast.expr] = []
            if isinstance(node, ast.keyword) and node.arg in names:
                given = [node.value]
            elif isinstance(node, ast.Dict):
                given = [
                    v
                    for k, v in zip(node.keys, node.values, strict=True)
                    if isinstance(k, ast.Constant) and k.value in names
                ]
            elif isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                given = node.args[makers[name] : makers[name] + 1] if name in makers else []
            for value in given:
                yield f"{path.relative_to(ROOT)}:{value.lineno}", value


def test_reasons_are_sub_codes_not_english() -> None:
    """A text of our own is a key of the catalogs; what an operating system or a library says stays as it is."""
    known = set(texts("reason"))
    assert set(texts("reason", "zh")) == known
    wrong, used = [], 0
    for place, value in literals():
        for node in ast.walk(value):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used += node.value in known
                if " " in node.value.strip(": ") and not isinstance(value, ast.JoinedStr):
                    wrong.append(f"{place} {node.value}")
    assert wrong == []
    assert used > 60


def test_states_kinds_and_lists_are_in_the_language_of_the_sentence() -> None:
    active = Problem.error(Code.RUN_ACTIVE, run="r", state="running")
    assert "is running" in sentence(active)
    assert "running" not in sentence(active, "zh")
    suspicious = Problem.warning(Code.SUSPICIOUS_ROWS, count=3, rows=9, kinds={"duplicate": 2, "answer_cut": 1})
    for code in (Code.ROWS_SKIPPED, Code.SUSPICIOUS_ROWS):
        named = sentence(suspicious.model_copy(update={"code": code}))
        assert texts("page")["kind_duplicate"] in named, named
    assert "(duplicate: 2, truncated answer: 1)" in sentence(suspicious)
    page = texts("page", "zh")
    assert f"{page['kind_duplicate']}: 2、{page['kind_answer_cut']}: 1" in sentence(suspicious, "zh")
    order = Problem.warning(Code.ROW_ROLE_ORDER, path="a", row=1, field="f", value="user", reason="role_repeated")
    assert "the previous turn has the same role" in sentence(order)
    assert "同一角色连续出现两次" in sentence(order, "zh")
