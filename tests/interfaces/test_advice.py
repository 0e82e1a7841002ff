import pytest

from interfaces.advice import smaller
from interfaces.config import FineTuneConfig


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        (
            {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
            {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4},
        ),
        ({"per_device_train_batch_size": 1}, {"gradient_checkpointing": True}),
        (
            {"per_device_train_batch_size": 1, "gradient_checkpointing": True},
            {"load_in_8bit": False, "load_in_4bit": True},
        ),
        (
            {"per_device_train_batch_size": 1, "gradient_checkpointing": True, "load_in_4bit": True, "max_length": 512},
            {"max_length": 256},
        ),
    ],
)
def test_the_gentlest_change_comes_first(settings: dict[str, object], change: dict[str, object]) -> None:
    assert smaller(FineTuneConfig(dataset="x").model_copy(update=settings)) == change
