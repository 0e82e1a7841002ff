"""Computes the language-model head only at trained positions and in chunks, so that the full logits never exist.

This replaces the model's `forward` before PEFT wraps it, so that wrappers (PEFT, DDP, FSDP) still run: bypassing them
left the gradients of two ranks unsynchronized, without any error.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch
from peft.utils import ModulesToSaveWrapper
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from interfaces.kernel_sizes import BLOCK_ELEMENTS, CHUNK_ELEMENTS
from trainer.tokens.token_store import IGNORE_INDEX

OWN_LOGITS = ("final_logit_softcapping", "logits_soft_cap", "logit_scale", "logits_scaling", "output_multiplier_scale")
"""Config keys with which a model changes its logits after the head."""


def changed_logits(model: PreTrainedModel) -> str:
    """Return the config key with which a model changes what its head returns; empty if it doesn't."""
    return next((name for name in OWN_LOGITS if getattr(model.config, name, None) not in (None, 1.0)), "")


def use_chunked_loss(model: PreTrainedModel) -> None:
    """Make `model(labels=...)` return a loss and no logits. Without labels the model works as before.

    `reduction="none"` returns the loss of each trained token (tokens,) in fp32, its negative log-probability.
    """

    own = model.forward

    @functools.wraps(own)  # keeps the signature, which `generate` inspects
    def forward(*args: Any, labels: torch.Tensor | None = None, **kwargs: Any) -> Any:
        if labels is None:
            return own(*args, **kwargs)
        return CausalLMOutput(loss=_loss(model, labels, *args, **kwargs))

    model.forward = forward
    model.accepts_loss_kwargs = True  # the Trainer passes `num_items_in_batch`


def _loss(
    model: PreTrainedModel, labels: torch.Tensor, *args: Any, num_items_in_batch: torch.Tensor | int | None = None,
    reduction: str = "mean", **kwargs: Any,
) -> torch.Tensor:  # fmt: skip
    """Return the loss summed over trained tokens, divided by `num_items_in_batch` or by their number; or of each token."""
    hidden = model.get_decoder()(*args, **{**kwargs, "use_cache": False}).last_hidden_state
    wanted = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORE_INDEX)
    trained = wanted != IGNORE_INDEX
    losses = token_losses(model.get_output_embeddings(), hidden[trained], wanted[trained])
    if reduction == "none":
        return losses
    return losses.sum() / (trained.sum() if num_items_in_batch is None else num_items_in_batch)


def token_losses(head: torch.nn.Module, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of each token in fp32 (tokens,), for `hidden` (tokens, size) and `targets` (tokens,)."""
    head = _in_use(head)
    vocabulary = int(getattr(head, "out_features", 1 << 17))
    chunk = max(CHUNK_ELEMENTS // vocabulary, 1)
    if type(head) is torch.nn.Linear:
        weight = head.weight
        kind = _TrainedHead if weight.requires_grad else _FrozenHead
        # Under autocast, the output of the last norm may be in fp32.
        found: torch.Tensor = kind.apply(hidden.to(weight.dtype), weight, head.bias, targets, chunk)  # type: ignore[no-untyped-call]
        return found
    parts = zip(hidden.split(chunk), targets.split(chunk), strict=True)
    losses = [checkpoint(_chunk_loss, head, *part, use_reentrant=False) for part in parts]
    return torch.cat(losses) if losses else hidden.sum(dim=1).float()


def _in_use(head: torch.nn.Module) -> torch.nn.Module:
    """Return the layer behind PEFT's wrapper of one that is trained beside an adapter."""
    if not isinstance(head, ModulesToSaveWrapper):
        return head
    alone = head.disable_adapters or not head.active_adapters
    found: torch.nn.Module = head.original_module if alone else head.modules_to_save[head.active_adapters[0]]
    return found


def _chunk_loss(head: torch.nn.Module, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(head(hidden).float(), targets, reduction="none")


def _chunks(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor, chunk: int,
    losses: torch.Tensor, gradients: bool,
) -> Iterator[tuple[slice, torch.Tensor]]:  # fmt: skip
    """Compute `losses` (tokens,) chunk by chunk, and yield each chunk's place and its table (chunk, vocabulary).

    With `gradients`, the table holds the gradients of the logits (softmax, minus one at the target token).
    """
    table = hidden.new_empty((min(chunk, len(targets)), len(weight)))
    block = max(BLOCK_ELEMENTS // len(weight), 1) if hidden.device.type == "cpu" else chunk
    for first in range(0, len(targets), chunk):
        place = slice(first, first + chunk)
        part = hidden[place]
        logits = table[: len(part)]
        if bias is None:
            torch.mm(part, weight.t(), out=logits)
        else:
            torch.addmm(bias, part, weight.t(), out=logits)
        parts = (logits, targets[place, None], losses[place])
        for rows, wanted, found in zip(*(part.split(block) for part in parts), strict=True):
            log_p = torch.log_softmax(rows, dim=-1, dtype=torch.float32)
            chosen = log_p.gather(1, wanted)
            torch.neg(chosen[:, 0], out=found)
            if gradients:
                rows.copy_(log_p.exp_().scatter_add_(1, wanted, torch.full_like(chosen, -1.0)))
            del log_p  # or it would coexist with the next block's
        yield place, logits


class _FrozenHead(torch.autograd.Function):
    """A frozen head that computes the gradient of its input during the forward pass, chunk by chunk.

    The gradient of a token's loss is kept (tokens, size), and scaled on the way back by what the loss of the batch makes
    of that token's: a preference loss scales the tokens of each answer differently.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor,
        chunk: int,
    ) -> torch.Tensor:  # fmt: skip
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        of_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for place, table in _chunks(hidden, weight, bias, targets, chunk, losses, of_hidden is not None):
            if of_hidden is not None:
                torch.mm(table, weight, out=of_hidden[place])
        ctx.save_for_backward(*([of_hidden] if of_hidden is not None else []))
        return losses

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (of_hidden,) = ctx.saved_tensors
        return of_hidden * grads[0][:, None].to(of_hidden.dtype), None, None, None, None


class _TrainedHead(torch.autograd.Function):
    """A head that is trained. Its gradient needs that of each token's loss, so the logits are computed twice."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor,
        chunk: int,
    ) -> torch.Tensor:  # fmt: skip
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        for _ in _chunks(hidden, weight, bias, targets, chunk, losses, gradients=False):
            pass
        ctx.save_for_backward(hidden, weight, bias, targets)
        ctx.chunk = chunk
        return losses

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, bias, targets = ctx.saved_tensors
        # Added up in 32 bits, because each of many chunks would be rounded.
        of_hidden, of_weight = torch.empty_like(hidden), torch.zeros_like(weight, dtype=torch.float32)
        of_bias = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
        losses = torch.empty_like(grads[0])
        for place, table in _chunks(hidden, weight, bias, targets, ctx.chunk, losses, gradients=True):
            table *= grads[0][place, None].to(table.dtype)
            torch.mm(table, weight, out=of_hidden[place])
            of_weight += table.t() @ hidden[place]
            if of_bias is not None:
                of_bias += table.sum(dim=0)
        of_bias = None if of_bias is None else of_bias.to(weight.dtype)
        return of_hidden, of_weight.to(weight.dtype), of_bias, None, None
