import pytest

from interfaces.advice import checkpointing_without_estimate, fewer_at_once, smaller
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
        (
            {"per_device_train_batch_size": 1, "gradient_checkpointing": True, "load_in_4bit": True, "max_length": 16},
            {},
        ),
    ],
)
def test_the_gentlest_change_comes_first(settings: dict[str, object], change: dict[str, object]) -> None:
    assert smaller(FineTuneConfig(dataset="x").model_copy(update=settings)) == change


def test_odd_batch_keeps_the_effective_batch_size() -> None:
    assert fewer_at_once(8, 2) == (4, 4)
    assert fewer_at_once(3, 1) == (1, 3)
    assert fewer_at_once(6, 1) == (3, 2)


@pytest.mark.parametrize(("kind", "on"), [("cuda", True), ("cpu", False), ("mps", False)])
def test_checkpointing_defaults_to_on_for_cards(kind: str, on: bool) -> None:
    assert checkpointing_without_estimate(kind) is on


def test_less_memory_keeps_the_batch_that_a_method_needs() -> None:
    from interfaces.config import FineTuneConfig

    kto = FineTuneConfig(method="kto", per_device_train_batch_size=2, gradient_accumulation_steps=1)
    assert smaller(kto) == {"gradient_checkpointing": True}
    assert smaller(kto.model_copy(update={"method": "sft"}))["per_device_train_batch_size"] == 1
