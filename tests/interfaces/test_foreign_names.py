from interfaces.config import fields
from interfaces.foreign_names import FOREIGN_NAMES


def test_foreign_names_map_to_existing_settings() -> None:
    known = {name for name, _ in fields()} | {""}
    assert set(FOREIGN_NAMES.values()) <= known
    assert not set(FOREIGN_NAMES) & (known - {""})
