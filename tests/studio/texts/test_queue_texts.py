from studio.texts.queue_texts import QUEUE_TEXTS
from studio.texts.texts import TEXTS


def test_the_queue_s_texts_are_among_all_texts() -> None:
    for language, texts in QUEUE_TEXTS.items():
        assert texts.items() <= TEXTS[language].items()
