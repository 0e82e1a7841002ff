from pathlib import Path

from interfaces.problems import Code
from studio.data_texts import DATA_TEXTS
from studio.texts import TEXTS

ASSETS = Path(__file__).resolve().parents[2] / "studio" / "ui_assets"


def test_data_s_texts_are_among_all_texts() -> None:
    for language, texts in DATA_TEXTS.items():
        assert texts.items() <= TEXTS[language].items()


def test_every_kind_of_row_problem_has_a_name_on_the_page() -> None:
    kinds = {code.removeprefix("row_") for code in Code if code.startswith("row_")} - {"number_unknown"}
    assert {f"kind_{kind}" for kind in kinds} == {key for key in DATA_TEXTS["en"] if key.startswith("kind_")}


def test_every_text_that_a_script_asks_for_is_there() -> None:
    import re

    for name in ("data.js", "sight.js", "library.js", "studio.js"):
        script = (ASSETS / name).read_text(encoding="utf-8")
        for key in re.findall(r"\btexts\.(\w+)", script):
            assert key in TEXTS["en"], f"{name}: {key}"
