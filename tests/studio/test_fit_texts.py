import re

from studio.fit_texts import FIT_TEXTS
from studio.texts import TEXTS
from tests.studio.test_data_texts import ASSETS


def test_the_verdict_s_texts_are_among_all_texts_and_the_same_in_both_languages() -> None:
    assert set(FIT_TEXTS["en"]) == set(FIT_TEXTS["zh"])
    for language, texts in FIT_TEXTS.items():
        assert texts.items() <= TEXTS[language].items()


def test_every_part_of_an_estimate_has_a_name() -> None:
    script = (ASSETS / "fit.js").read_text(encoding="utf-8")
    found = re.search(r"const PARTS = \[(.*?)\]", script)
    assert found
    assert {f"part_{name}" for name in re.findall(r'"(\w+)"', found[1])} == {
        key for key in FIT_TEXTS["en"] if key.startswith("part_")
    }


def test_every_text_that_the_script_asks_for_is_there() -> None:
    for script in ("fit.js", "hub.js"):
        for key in re.findall(r"\btexts\.(\w+)", (ASSETS / script).read_text(encoding="utf-8")):
            assert key in TEXTS["en"], f"{script}: {key}"
