def test_no_font_comes_from_anywhere_else() -> None:
    from studio.pages.theme import studio_theme

    css = studio_theme()._get_theme_css()
    assert "http" not in css.replace("http://www.w3.org", "")
