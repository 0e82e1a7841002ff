"""32-bit copies keep what 16-bit weights would round away, and gradients add up in 32 bits."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.loops import arguments, rows_of_tokens

pytestmark = pytest.mark.tiny


def model_of(tiny_model: Path, dtype: str = "bfloat16") -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model, dtype=getattr(torch, dtype))


def trained(tiny_model: Path, folder: Path, keeps: bool = True, dtype: str = "bfloat16", **more: Any) -> Any:
    """Return the loop after its steps."""
    from transformers import AutoTokenizer

    from trainer.artifacts.results import WholeModel
    from trainer.kernels.fast_paths import use_fast_paths
    from trainer.models.model_files import ModelFiles
    from trainer.tokens.batches import flat_batch
    from trainer.training.loop import TrainingLoop
    from trainer.training.master_weights import MasterWeights

    model = model_of(tiny_model, dtype)
    use_fast_paths(model, "tiny")
    loop = TrainingLoop(
        model=model, args=arguments(folder, **{"max_steps": 4, "warmup_steps": 0, **more}), train_dataset=rows_of_tokens(), data_collator=flat_batch,
        masters=MasterWeights(model, model.parameters() if keeps else ()),
        whole=WholeModel(model, ModelFiles(tiny_model, "tiny", None), AutoTokenizer.from_pretrained(tiny_model), [0]),
    )  # fmt: skip
    loop.train()
    return loop


def test_steps_equal_those_of_an_optimizer_over_32_bit_weights(tiny_model: Path, tmp_path: Path) -> None:
    """Written out: forward and backward in 16 bits, gradients, clipping and update in 32."""
    import torch

    loop = trained(tiny_model, tmp_path, max_grad_norm=0.5, weight_decay=0.1, lr_scheduler_type="constant")
    ours = loop._masters.weights()
    model = model_of(tiny_model)
    from trainer.kernels.fast_paths import use_fast_paths

    use_fast_paths(model, "tiny")
    model.train()
    weights = dict(model.named_parameters())
    copies = {name: weight.detach().float().requires_grad_() for name, weight in weights.items()}
    plain = [name for name in copies if "norm" in name or "bias" in name]
    optimizer = torch.optim.AdamW(
        [
            {"params": [copies[name] for name in copies if name not in plain], "weight_decay": 0.1},
            {"params": [copies[name] for name in plain], "weight_decay": 0.0},
        ], lr=5e-3, fused=True,
    )  # fmt: skip
    norms = []
    loader = iter(loop.get_train_dataloader())
    for _ in range(4):
        batches = [next(loader), next(loader)]
        items = sum(int((batch["labels"] != -100).sum()) for batch in batches)
        for batch in batches:
            model(**batch, num_items_in_batch=items).loss.backward()
            for name, weight in weights.items():
                found = weight.grad.float()
                copies[name].grad = found if copies[name].grad is None else copies[name].grad + found
                weight.grad = None
        norms.append(float(torch.nn.utils.clip_grad_norm_(copies.values(), 0.5)))
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(copies[name])
    logged = [entry["grad_norm"] for entry in loop.state.log_history if "grad_norm" in entry]
    assert logged == pytest.approx(norms, rel=1e-6)
    for name, copy in copies.items():
        assert torch.equal(ours[name], copy), name
        assert torch.equal(weights[name], dict(loop.model.named_parameters())[name]), name


@pytest.mark.parametrize("keeps", [True, False])
def test_updates_below_the_precision_of_16_bits_add_up(tiny_model: Path, tmp_path: Path, keeps: bool) -> None:
    import torch

    steps = 40
    loop = trained(tiny_model, tmp_path, keeps, max_steps=steps, learning_rate=2e-5, lr_scheduler_type="constant")
    before, after = (model.model.layers[0].mlp.up_proj.weight for model in (model_of(tiny_model), loop.model))
    large = before.abs() > 0.05  # half a unit in the last place of 0.05 is 1e-4: five times a step
    changed = float((before != after)[large].float().mean())
    assert changed > 0.1 if keeps else changed < 0.01, changed
    assert bool(torch.isfinite(after).all())


def test_weights_in_32_bits_need_no_copies(tiny_model: Path, tmp_path: Path) -> None:
    loop = trained(tiny_model, tmp_path, dtype="float32")
    assert loop._masters.trained == list(loop.model.parameters())


def test_without_clipping_the_norm_is_that_of_the_copies(tiny_model: Path, tmp_path: Path) -> None:
    norms = [
        [entry["grad_norm"] for entry in trained(tiny_model, tmp_path, max_grad_norm=most, max_steps=1).state.log_history if "grad_norm" in entry]
        for most in (0.0, 1e9)
    ]  # fmt: skip
    assert norms[0] == norms[1] > [0.0]
