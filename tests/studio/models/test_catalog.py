from interfaces.config import STARTER
from interfaces.texts import LANGUAGES, texts
from studio.models.catalog import CATALOG


def test_the_requirements_models_come_first_in_their_tiers() -> None:
    assert [(entry.id, entry.tier) for entry in CATALOG] == [
        ("Qwen/Qwen2.5-Coder-1.5B-Instruct", "best"),
        ("Qwen/Qwen2.5-0.5B-Instruct", "alternative"),
        ("Qwen/Qwen2.5-1.5B-Instruct", "alternative"),
        ("Qwen/Qwen2.5-3B-Instruct", "caution"),
        ("Qwen/Qwen2.5-7B-Instruct", "caution"),
        *[(entry.id, "more") for entry in CATALOG if entry.tier == "more"],
        (STARTER, "starter"),
    ]
    for entry in CATALOG:
        assert entry.vram_hint or entry.tier == "more"
        assert all(texts("model", language)[entry.id] for language in LANGUAGES)
