from studio.sizing.estimate import PARTS
from studio.texts.fit_texts import FIT_TEXTS
from studio.texts.texts import TEXTS


def test_the_verdict_s_texts_are_among_all_texts() -> None:
    for language, texts in FIT_TEXTS.items():
        assert texts.items() <= TEXTS[language].items()


def test_every_part_of_an_estimate_has_a_name() -> None:
    assert {f"part_{name}" for name in PARTS} == {key for key in FIT_TEXTS["en"] if key.startswith("part_")}
