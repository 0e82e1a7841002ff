from interfaces.files import write_json
from interfaces.folders import Home
from interfaces.texts import texts
from studio.models.catalog import CATALOG
from studio.sizing.offers import offers_of


def test_every_recommended_model_is_sized_for_this_machine(home: Home) -> None:
    offers = offers_of(home)
    assert [offer.id for offer in offers] == [entry.id for entry in CATALOG]
    assert all(offer.total_bytes > 0 for offer in offers)
    assert all(offer.path is None and offer.download_bytes > 0 for offer in offers if offer.tier != "starter")
    by_size = sorted((offer for offer in offers if offer.tier == "best"), key=lambda offer: offer.parameters_millions)
    assert [offer.total_bytes for offer in by_size] == sorted(offer.total_bytes for offer in by_size)


def test_downloaded_model_has_a_path(home: Home) -> None:
    home.starter.mkdir(parents=True)
    write_json(home.starter / "starter.json", {})
    starter = offers_of(home)[-1]
    assert (starter.path, starter.download_bytes) == (str(home.starter), 0)


def test_advice_is_in_the_language_and_the_hints_are_the_requirements(home: Home) -> None:
    best = offers_of(home, "zh")[0]
    assert (best.name, best.vram_hint, best.time_hint) == ("Qwen2.5-Coder-1.5B-Instruct", "6-8 GB (8-bit)", "2-4 h")
    assert best.advice == texts("model", "zh")[best.id] != offers_of(home)[0].advice
