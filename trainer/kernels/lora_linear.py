"""Computes LoRA's two small products in the base model's dtype, while the adapter's weights stay in fp32.

PEFT casts each layer's input to the adapter's dtype: on a CPU, these casts and the 32-bit products cost as much as the
base model's 16-bit products. Here the two small matrices are cast instead, and their gradients are in fp32. Autocast
does the same, but also changes other operations.
"""

from __future__ import annotations

import types
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch.nn.functional import linear


def use_lora_linear(model: torch.nn.Module) -> int:
    """Patch the plain LoRA layers of `model` and return their number. Other kinds of layers stay unchanged."""
    layers = [module for module in model.modules() if type(module) is Linear and _is_plain(module)]
    for layer in layers:
        layer.forward = types.MethodType(_forward, layer)
    return len(layers)


def _is_plain(layer: Linear) -> bool:
    """Return whether a layer has one adapter, no dropout, no variant such as DoRA, and a frozen torch base layer."""
    names = list(layer.lora_A)
    return (
        len(names) == 1
        and names[0] not in layer.lora_variant
        and isinstance(layer.lora_dropout[names[0]], torch.nn.Identity)
        and type(layer.base_layer) is torch.nn.Linear
        and not layer.base_layer.weight.requires_grad
        and layer.lora_B[names[0]].bias is None
    )


def _forward(layer: Linear, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    names = layer.active_adapters
    if layer.disable_adapters or layer.merged or len(names) != 1 or args or kwargs:
        plain: torch.Tensor = Linear.forward(layer, x, *args, **kwargs)
        return plain
    base, name = layer.base_layer, names[0]
    down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
    # Under autocast, a norm's output may be in fp32.
    result: torch.Tensor = _LowRank.apply(  # type: ignore[no-untyped-call]
        x.to(base.weight.dtype), base.weight, base.bias, down, up, layer.scaling[name]
    )
    return result


class _LowRank(torch.autograd.Function):
    """x W^T + b + s (x A^T) B^T (Hu et al. 2021, arXiv:2106.09685), and the gradients of x, A and B."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, down: torch.Tensor,
        up: torch.Tensor, scale: float,
    ) -> torch.Tensor:  # fmt: skip
        flat = x.reshape(-1, x.shape[-1])
        narrow_down, narrow_up = down.to(x.dtype), up.to(x.dtype)
        inner = linear(flat, narrow_down)
        result = linear(flat, weight, bias).addmm_(inner, narrow_up.t(), alpha=scale)
        ctx.save_for_backward(flat, weight, down, up, inner)
        ctx.scale = scale
        return result.view(*x.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, weight, down, up, inner = ctx.saved_tensors
        grad = grads[0].reshape(-1, len(weight))
        of_inner = torch.mm(grad, up.to(grad.dtype)).mul_(ctx.scale)
        of_down = torch.mm(of_inner.t(), flat).to(down.dtype)
        of_up = torch.mm(grad.t(), inner).to(up.dtype).mul_(ctx.scale)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = torch.mm(grad, weight).addmm_(of_inner, down.to(grad.dtype)).view(*grads[0].shape[:-1], -1)
        return of_x, None, None, of_down, of_up, None
