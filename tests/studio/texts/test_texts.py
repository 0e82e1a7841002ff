import re
import string

from interfaces.config import fields
from studio.pages.form import HIDDEN
from studio.texts.texts import FIELDS_ZH, LABELS_EN, LANGUAGES, TEXTS, UNITS_ZH


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_hold_the_same_keys_and_parameters() -> None:
    assert set(TEXTS) == set(LANGUAGES)
    assert set(TEXTS["en"]) == set(TEXTS["zh"])
    for key, text in TEXTS["en"].items():
        assert text
        assert placeholders(text) == placeholders(TEXTS["zh"][key]), key


def test_every_setting_of_the_form_has_a_chinese_label_and_help() -> None:
    names = {name for name, _ in fields()} - HIDDEN
    assert set(FIELDS_ZH) == names
    assert set(LABELS_EN) <= names
    for label, words in FIELDS_ZH.values():
        assert label
        assert re.search(r"[\u4e00-\u9fff]", words)


def test_every_unit_has_a_chinese_word() -> None:
    units = {
        str(field.json_schema_extra["unit"])
        for _, field in fields()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("unit")
    }
    assert units == set(UNITS_ZH)
