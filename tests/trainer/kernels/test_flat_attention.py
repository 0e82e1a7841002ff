"""Attention inside each sequence equals the attention of each sequence alone, forwards and backwards."""

import itertools
from typing import Any

import pytest

pytestmark = pytest.mark.tiny

LENGTHS = [3, 40, 1, 300, 17]


def tensors(dtype: Any, heads: int = 6, keys: int = 2, size: int = 16) -> list[Any]:
    import torch

    torch.manual_seed(1)
    return [torch.randn(1, count, sum(LENGTHS), size, dtype=dtype, requires_grad=True) for count in (heads, keys, keys)]


def reference(query: Any, key: Any, value: Any, scale: float, window: int | None = None) -> Any:
    """Each sequence alone, with explicit weights in 64 bits; (1, tokens, heads, size)."""
    import torch

    outputs = []
    ends = list(itertools.accumulate(LENGTHS))
    for start, end in zip([0, *ends], ends, strict=False):
        q, k, v = (whole[0, :, start:end].double() for whole in (query, key, value))
        k, v = (one.repeat_interleave(len(q) // len(k), 0) for one in (k, v))
        distance = torch.arange(end - start)[:, None] - torch.arange(end - start)[None]
        seen = (distance >= 0) & (distance < (window or 10**6))
        scores = (q @ k.transpose(1, 2) * scale).masked_fill(~seen, float("-inf"))
        outputs.append(scores.softmax(-1) @ v)
    return torch.cat(outputs, dim=1).transpose(0, 1)[None]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("window", [None, 8])
def test_each_sequence_sees_itself_only(dtype: str, window: int | None) -> None:
    import torch

    from interfaces.kernel_sizes import LONGEST_KEPT, LONGEST_PRODUCT
    from trainer.kernels.flat_attention import flat_attention

    assert 17 < LONGEST_KEPT < 300 < LONGEST_PRODUCT  # both ways back are taken
    inputs = tensors(getattr(torch, dtype))
    seen, nothing = flat_attention(
        torch.nn.Module(), *inputs, None, scaling=0.3, sequence_lengths=LENGTHS, sliding_window=window
    )
    expected = reference(*inputs, scale=0.3, window=window)
    assert nothing is None
    assert seen.dtype == inputs[0].dtype
    tolerance = 1e-5 if dtype == "float32" else 2e-2
    assert (seen - expected).norm() <= tolerance * expected.norm()
    weights = torch.randn(expected.shape, dtype=torch.float64)
    grads = torch.autograd.grad((seen.double() * weights).sum(), inputs)
    wanted = torch.autograd.grad((expected * weights).sum(), inputs)
    for one, other in zip(grads, wanted, strict=True):
        assert (one - other).norm() <= tolerance * other.norm()


def test_a_bias_of_the_keys_costs_no_precision() -> None:
    """Qwen2 has large ones: scores in the hundreds that differ by little."""
    import torch

    from trainer.kernels.flat_attention import flat_attention

    query, key, value = tensors(torch.bfloat16)
    with torch.no_grad():
        query[..., 0] = 8.0
        key[..., 0] = 50.0
    seen, _ = flat_attention(torch.nn.Module(), query, key, value, None, scaling=0.25, sequence_lengths=LENGTHS)
    expected = reference(query, key, value, scale=0.25)
    assert (seen - expected).norm() <= 2e-2 * expected.norm()
    weights = torch.randn(expected.shape, dtype=torch.float64)
    grads = torch.autograd.grad((seen.double() * weights).sum(), [query, value])
    wanted = torch.autograd.grad((expected * weights).sum(), [query, value])
    for one, other in zip(grads, wanted, strict=True):
        assert (one - other).norm() <= 3e-2 * other.norm()


@pytest.mark.parametrize("window", [None, 8])
def test_an_answer_sees_what_came_before_it(window: int | None) -> None:
    """Without lengths it is one sequence, of which the last tokens may be asked for alone."""
    import torch

    from trainer.kernels.flat_attention import flat_attention

    module = torch.nn.Module()
    module.num_key_value_groups = 3  # type: ignore[assignment]
    query, key, value = (one[:, :, :40].detach() for one in tensors(torch.float32))
    whole, _ = flat_attention(module, query, key, value, None, scaling=0.3, sliding_window=window)
    alone, _ = flat_attention(
        module, query, key, value, None, scaling=0.3, sliding_window=window, sequence_lengths=[40]
    )
    assert torch.allclose(whole, alone, atol=1e-5)
    last, _ = flat_attention(module, query[:, :, 30:], key, value, None, scaling=0.3, sliding_window=window)
    assert torch.allclose(last, whole[:, 30:], atol=1e-5)


def test_what_would_be_computed_wrongly_is_refused() -> None:
    import torch

    from trainer.kernels.flat_attention import flat_attention

    inputs = tensors(torch.float32)
    for name in ("softcap", "s_aux", "position_bias"):
        with pytest.raises(ValueError, match=name):
            flat_attention(torch.nn.Module(), *inputs, None, sequence_lengths=LENGTHS, **{name: 30.0})
    with pytest.raises(ValueError, match="attention_mask"):
        flat_attention(torch.nn.Module(), *inputs, torch.zeros(1), sequence_lengths=LENGTHS)
    with pytest.raises(ValueError, match="attention_not_causal"):
        flat_attention(torch.nn.Module(), *inputs, None, sequence_lengths=LENGTHS, is_causal=False)
    with pytest.raises(ValueError, match="padded"):
        flat_attention(torch.nn.Module(), *(one.expand(2, -1, -1, -1) for one in inputs), None)
