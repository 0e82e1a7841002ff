"""Causal attention for several sequences concatenated in one row, without padding or a mask.

Registered with transformers' `AttentionInterface` under the name `FLAT`. The model passes `sequence_lengths` through
the keyword arguments of its forward. Without it, for example in generation, the call falls back to transformers'
sdpa.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from interfaces.kernel_sizes import LONGEST_KEPT, LONGEST_PRODUCT

FLAT = "finetune_flat"


def flat_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sequence_lengths: list[int] | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Compute the attention of `query` (1, heads, tokens, size) to `key` and `value` (1, key heads, tokens, size).

    Returns (1, tokens, heads, size), as transformers expects.

    Raises:
        ValueError: an unknown argument changes the scores, or the batch is padded.
    """
    if unknown := [name for name in ("softcap", "s_aux", "position_bias") if kwargs.get(name) is not None]:
        raise ValueError("attention_arguments", unknown[0])
    if not (kwargs.get("is_causal", True) and getattr(module, "is_causal", True)):
        raise ValueError("attention_not_causal")
    if sequence_lengths is None:
        if len(query) > 1:
            raise ValueError("attention_padded")
        asked, known = query.shape[2], key.shape[2]
        if asked > 1 and (asked != known or (sliding_window or known) < known):
            attention_mask = _visible(asked, known, sliding_window or known, query.device)[None, None]
        answered: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return answered
    if attention_mask is not None:
        raise ValueError("attention_mask")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    queries, keys, values = (whole.split(sequence_lengths, dim=2) for whole in (query, key, value))
    outputs = [_attend(*part, scale, dropout, sliding_window) for part in zip(queries, keys, values, strict=True)]
    return torch.cat(outputs, dim=2).transpose(1, 2), None


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, dropout: float, window: int | None
) -> torch.Tensor:
    length = query.shape[2]
    if window is not None and window < length:
        return scaled_dot_product_attention(
            query, key, value, attn_mask=_visible(length, length, window, query.device), dropout_p=dropout, scale=scale,
            enable_gqa=True,
        )  # fmt: skip
    products = query.device.type == "cpu" and query.dtype == torch.bfloat16 and length <= LONGEST_PRODUCT
    if products and not dropout and query.shape[-1] == value.shape[-1]:
        attended: torch.Tensor = _Products.apply(query[0], key[0], value[0], scale)  # type: ignore[no-untyped-call]
        return attended[None]
    return scaled_dot_product_attention(
        query, key, value, dropout_p=dropout, is_causal=True, scale=scale, enable_gqa=True
    )


@functools.lru_cache(maxsize=8)
def _visible(asked: int, known: int, window: int, device: torch.device) -> torch.Tensor:
    """Return the mask (asked, known) of the last `asked` tokens: each sees itself and `window - 1` before it."""
    places = torch.arange(known, device=device)
    distance = places[known - asked :, None] - places[None, :]
    return (distance >= 0) & (distance < window)


@functools.lru_cache(maxsize=1)
def _triangle() -> torch.Tensor:
    side = LONGEST_PRODUCT
    return torch.full((side, side), float("-inf"), dtype=torch.bfloat16).triu(1)


class _Products(torch.autograd.Function):
    """Causal attention of one short sequence as plain matrix products; heads that share a key use one product.

    The gradient is that of Dao et al. 2022 (arXiv:2205.14135), appendix B.
    """

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
        heads, length, size = query.shape
        grouped = query.reshape(len(key), -1, size)
        # The mean of the keys adds a constant to each score of a row, which softmax ignores. Keeping it would cost
        # precision (Zhang et al. 2024, arXiv:2410.02367, section 4.2).
        key = (key.float() - key.float().mean(dim=1, keepdim=True)).to(key.dtype)
        value = value.contiguous()
        weights = _weights(grouped, key, scale)
        ctx.save_for_backward(grouped, key, value, *([weights] if length <= LONGEST_KEPT else []))
        ctx.scale = scale
        return torch.bmm(weights, value).view(heads, length, size)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, *kept = ctx.saved_tensors
        weights = kept[0] if kept else _weights(query, key, ctx.scale)
        grad = grads[0].reshape(query.shape)
        of_scores = torch.bmm(grad, value.transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_scores, weights, -1, weights.dtype)
        of_query = torch.bmm(of_scores, key).mul_(ctx.scale).view(grads[0].shape)
        of_key = torch.bmm(of_scores.transpose(1, 2), query).mul_(ctx.scale)
        return of_query, of_key, torch.bmm(weights.transpose(1, 2), grad), None


def _weights(query: torch.Tensor, key: torch.Tensor, scale: float) -> torch.Tensor:
    """Return the causal softmax(scale * query key^T), with shape (key heads, group * length, length)."""
    length = key.shape[1]
    # Scale inside the product, so that the scores are rounded to 16 bits only once.
    scores = torch.baddbmm(query.new_zeros(1), query, key.transpose(1, 2), beta=0, alpha=scale)
    shape = scores.shape
    scores = scores.view(len(key), -1, length, length).add_(_triangle()[:length, :length])
    return torch.softmax(scores, dim=-1).view(shape)


AttentionInterface.register(FLAT, flat_attention)
