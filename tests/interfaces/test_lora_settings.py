"""The adapter's settings: names of layers in any form, and nothing else for them."""

import pytest
from pydantic import ValidationError

from interfaces.lora_settings import LoraSettings


def test_target_modules_are_all_linear_or_names() -> None:
    assert LoraSettings(target_modules="q_proj, v_proj").target_modules == ["q_proj", "v_proj"]
    assert LoraSettings().target_modules == "all-linear"
    with pytest.raises(ValidationError, match="layers_or_all_linear"):
        LoraSettings(target_modules=" , ")
