"""The loss in chunks is the loss, and nothing as large as a table of all logits is ever made."""

from typing import Any

import pytest

pytestmark = pytest.mark.tiny


def parts(dtype: str = "float32", bias: bool = False) -> tuple[Any, Any, Any]:
    import torch

    torch.manual_seed(0)
    head = torch.nn.Linear(16, 1000, bias=bias).to(getattr(torch, dtype)).requires_grad_(False)
    hidden = (3 * torch.randn(70, 16)).to(getattr(torch, dtype)).requires_grad_()
    return head, hidden, torch.randint(1000, (70,))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 1e-2)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["frozen", "trained", "other"])
def test_loss_and_gradients_equal_cross_entropy(
    dtype: str, tolerance: float, bias: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from trainer.kernels import chunked_loss

    monkeypatch.setattr(chunked_loss, "CHUNK_ELEMENTS", 16_000)  # five chunks, the last one smaller
    head, hidden, targets = parts(dtype, bias)
    head.requires_grad_(kind != "frozen")
    asked = [hidden, *head.parameters()] if kind != "frozen" else [hidden]
    if kind == "other":

        class Wrapped(torch.nn.Linear):
            """What an adapter puts in the place of a head."""

        head.__class__ = Wrapped
    loss = chunked_loss.token_losses(head, hidden, targets).sum()
    expected = torch.nn.functional.cross_entropy(head(hidden).float(), targets, reduction="sum")
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    for one, other in zip(torch.autograd.grad(loss, asked), torch.autograd.grad(expected, asked), strict=True):
        assert (one - other).float().norm() <= tolerance * other.float().norm()


def test_scores_that_overflow_16_bits_stay_finite() -> None:
    import torch

    from trainer.kernels.chunked_loss import token_losses

    head, hidden, targets = parts("bfloat16")
    loss = token_losses(head, hidden * 1e4, targets).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(hidden.grad).all()


def test_no_trained_tokens_give_zero_loss() -> None:
    from trainer.kernels.chunked_loss import token_losses

    for learns in (False, True):
        head, hidden, targets = parts()
        head.weight.requires_grad_(learns)
        loss = token_losses(head, hidden[:0], targets[:0]).sum()
        loss.backward()
        assert float(loss) == 0
        assert float(hidden.grad.abs().sum()) == 0


def test_under_autocast_the_hidden_state_may_be_in_32_bits() -> None:
    import torch

    from trainer.kernels.chunked_loss import token_losses

    head, hidden, targets = parts("bfloat16")
    wide = hidden.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = token_losses(head, wide, targets).sum()
    loss.backward()
    assert wide.grad.dtype == torch.float32
    assert float(loss) == pytest.approx(float(token_losses(head, hidden, targets).sum()), rel=1e-4)
