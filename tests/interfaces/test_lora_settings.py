"""The adapter's settings: names of layers in any form, and nothing else for them."""

import pytest
from pydantic import ValidationError

from interfaces.lora_settings import LoraSettings


def test_target_modules_are_all_linear_or_names() -> None:
    assert LoraSettings(target_modules="q_proj, v_proj").target_modules == ["q_proj", "v_proj"]
    assert LoraSettings().target_modules == "all-linear"
    with pytest.raises(ValidationError, match="layers_or_all_linear"):
        LoraSettings(target_modules=" , ")


@pytest.mark.parametrize(
    ("value", "layers"),
    [("0-3, 8", [0, 1, 2, 3, 8]), ([2, 1, 2], [1, 2]), ("", []), ([], []), (["4-5", 7], [4, 5, 7])],
)
def test_layers_are_numbers_or_ranges(value: object, layers: list[int]) -> None:
    assert LoraSettings(layers_to_transform=value).layers_to_transform == layers  # type: ignore[arg-type]


def test_patterns_are_names_with_numbers() -> None:
    assert LoraSettings(rank_pattern="down_proj: 64,q_proj:8").rank_pattern == {"down_proj": 64, "q_proj": 8}  # type: ignore[arg-type]
    assert LoraSettings(alpha_pattern={"layers.1.mlp.up_proj": 9.5}).alpha_pattern == {"layers.1.mlp.up_proj": 9.5}
    assert LoraSettings(rank_pattern="").rank_pattern == {}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", ["q_proj", "q_proj: 4, q_proj: 8", "q_proj: 0", "q_proj: -1", {"(a+)+b": 4}, {"^q$": 4}, "q_proj: many", 4]
)
def test_patterns_that_are_no_names_with_numbers_are_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        LoraSettings(rank_pattern=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["all", "1-x", "-3", [-1], "0-9999999", "15-8", "²"])
def test_layers_that_are_no_numbers_are_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        LoraSettings(layers_to_transform=value)  # type: ignore[arg-type]
