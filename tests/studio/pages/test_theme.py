def test_no_external_fonts() -> None:
    from studio.pages.theme import studio_theme

    css = studio_theme()._get_theme_css()
    assert "http" not in css.replace("http://www.w3.org", "")
