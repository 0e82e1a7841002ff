from dataclasses import FrozenInstanceError

import pytest

from interfaces.device import GIB, Device


def test_a_device_is_a_plain_value() -> None:
    device = Device("cuda", "a card", 12 * GIB, 10 * GIB)
    assert device.total_gib == 12
    with pytest.raises(FrozenInstanceError):
        device.name = "other"  # type: ignore[misc]
