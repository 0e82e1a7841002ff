from interfaces.folders import Home
from studio.models.catalog import CATALOG
from studio.sizing.offers import offers_of


def test_every_recommended_model_is_sized_for_this_machine(home: Home) -> None:
    offers = offers_of(home)
    assert [offer.id for offer in offers] == [entry.id for entry in CATALOG]
    assert all(offer.total_bytes > 0 for offer in offers)
    assert all(offer.path is None and offer.download_bytes > 0 for offer in offers if offer.tier != "starter")
    by_size = sorted((offer for offer in offers if offer.tier == "best"), key=lambda offer: offer.parameters_millions)
    assert [offer.total_bytes for offer in by_size] == sorted(offer.total_bytes for offer in by_size)
