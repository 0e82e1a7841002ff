import pytest

from interfaces.texts import texts
from studio.web.shell import framed, not_found

HTML = '<!doctype html><html lang="en"><head><title>x</title></head><body style="margin: 0"><gradio-app></gradio-app></body></html>'


@pytest.mark.parametrize(("language", "lang"), [("en", "en"), ("zh", "zh-CN")])
def test_page_states_its_language_and_marks_its_place(language: str, lang: str) -> None:
    html = framed(HTML, language, "runs")
    assert f'<html lang="{lang}">' in html
    words = texts("page", language)
    assert f"<title>{words['runs']} – Finetune Studio</title>" in html
    (link,) = [part for part in html.split("<a ") if 'aria-current="page"' in part]
    assert words["runs"] in link
    assert f'href="/{language}/runs"' in link
    assert html.index("fs-rail") < html.index("<gradio-app>"), "keyboard users meet the navigation first"


def test_theme_is_applied_before_anything_is_drawn() -> None:
    html = framed(HTML, "en", "")
    body = html[html.index("<body") :]
    assert body.index("finetune-theme") < body.index("<nav")


def test_unknown_address_offers_ways_on() -> None:
    for language in ("en", "zh"):
        html = not_found(language)
        assert texts("page", language)["not_found"] in html
        assert f'href="/{language}/runs"' in html
