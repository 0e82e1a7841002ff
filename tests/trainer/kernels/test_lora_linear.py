"""Our products equal PEFT's, and its own layers do what ours don't know."""

from typing import Any

import pytest

pytestmark = pytest.mark.tiny


def layers(dtype: str = "float32", **settings: Any) -> Any:
    """A model of two layers with adapters that do something."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(24, 40), torch.nn.Linear(40, 8, bias=False)).to(getattr(torch, dtype))
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=6, target_modules=["0", "1"], **settings))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return adapted


def outcome(model: Any, dtype: str) -> list[Any]:
    """The output and every gradient."""
    import torch

    torch.manual_seed(2)
    x = torch.randn(2, 5, 24).to(getattr(torch, dtype)).requires_grad_()
    output = model(x)
    (output.float() ** 2).sum().backward()
    return [output, x.grad, *(parameter.grad for parameter in model.parameters() if parameter.requires_grad)]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 2e-2)])
def test_outputs_and_gradients_are_those_of_peft(dtype: str, tolerance: float) -> None:
    import torch

    from trainer.kernels.lora_linear import use_lora_linear

    expected = outcome(layers(dtype), dtype)
    model = layers(dtype)
    assert use_lora_linear(model) == 2
    seen = outcome(model, dtype)
    assert len(seen) == 6
    for one, other in zip(seen, expected, strict=True):
        assert one.dtype == other.dtype
        assert (one - other).float().norm() <= tolerance * other.float().norm()
    assert all(one.dtype == torch.float32 for one in seen[2:])


def test_disabled_or_merged_adapter_uses_peft_code() -> None:
    import torch

    from trainer.kernels.lora_linear import use_lora_linear

    model = layers()
    use_lora_linear(model)
    x = torch.randn(3, 24)
    tuned = model(x)
    with model.disable_adapter():
        base = model(x)
    assert not torch.allclose(tuned, base)
    model.merge_adapter()
    assert torch.allclose(model(x), tuned, atol=1e-5)
    model.unmerge_adapter()
    assert torch.allclose(model(x), tuned, atol=1e-5)


@pytest.mark.parametrize("settings", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}])
def test_other_kinds_of_layers_are_left_alone(settings: dict[str, Any]) -> None:
    from trainer.kernels.lora_linear import use_lora_linear

    assert use_lora_linear(layers(**settings)) == 0


def test_under_autocast_the_input_may_be_in_32_bits() -> None:
    import torch

    from trainer.kernels.lora_linear import use_lora_linear

    expected, model = layers("bfloat16"), layers("bfloat16")
    use_lora_linear(model)
    x = torch.randn(2, 5, 24)
    with torch.autocast("cpu", torch.bfloat16):
        seen, wanted = model(x), expected(x)
    assert seen.dtype == wanted.dtype == torch.bfloat16
    seen.float().sum().backward()
    assert (seen - wanted).float().norm() <= 2e-2 * wanted.float().norm()
