from interfaces.config import fields
from interfaces.foreign_names import FOREIGN_NAMES


def test_every_other_name_leads_to_a_setting_that_is_there() -> None:
    known = {name for name, _ in fields()} | {""}
    assert set(FOREIGN_NAMES.values()) <= known
    assert not set(FOREIGN_NAMES) & (known - {""})
