from interfaces.problems import Code
from studio.texts.data_texts import DATA_TEXTS
from studio.texts.texts import TEXTS


def test_data_s_texts_are_among_all_texts() -> None:
    for language, texts in DATA_TEXTS.items():
        assert texts.items() <= TEXTS[language].items()


def test_every_kind_of_row_problem_has_a_name_on_the_page() -> None:
    kinds = {code.removeprefix("row_") for code in Code if code.startswith("row_")} - {"number_unknown"}
    assert {f"kind_{kind}" for kind in kinds} == {key for key in DATA_TEXTS["en"] if key.startswith("kind_")}
