import re

from studio.queue_texts import QUEUE_TEXTS
from studio.texts import TEXTS
from tests.studio.test_data_texts import ASSETS


def test_the_queue_s_texts_are_the_same_in_both_languages_and_among_all_texts() -> None:
    assert set(QUEUE_TEXTS["en"]) == set(QUEUE_TEXTS["zh"])
    for language, texts in QUEUE_TEXTS.items():
        assert texts.items() <= TEXTS[language].items()
    for key, text in QUEUE_TEXTS["en"].items():
        assert set(re.findall(r"{(\w+)}", text)) == set(re.findall(r"{(\w+)}", QUEUE_TEXTS["zh"][key])), key


def test_every_text_that_the_script_asks_for_is_there() -> None:
    for key in re.findall(r"\btexts\.(\w+)", (ASSETS / "queue.js").read_text(encoding="utf-8")):
        assert key in TEXTS["en"], key
