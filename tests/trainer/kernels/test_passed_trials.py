"""Trials that an architecture has passed aren't repeated at the next start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.tiny


def tiny(seed: int = 0, **settings: Any) -> Any:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 128}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    return Qwen2ForCausalLM(Qwen2Config(**{**small, **heads, **settings}))


def passes(model: Any, cache: Path) -> tuple[Any, int]:
    """The fast paths of the model, and how often it computed to find them."""
    from trainer.kernels.fast_paths import use_fast_paths

    computed = []
    hook = model.get_decoder().register_forward_pre_hook(lambda *_: computed.append(1))
    fast_paths = use_fast_paths(model, "tiny", cache=cache)
    hook.remove()
    return fast_paths, len(computed)


def test_passed_trials_are_not_repeated_for_other_weights(tmp_path: Path) -> None:
    import torch

    from trainer.tokens.batches import flat_batch

    first, computed = passes(tiny(), tmp_path)
    assert computed > 0
    other = tiny(seed=1)
    second, computed = passes(other, tmp_path)
    assert (second, computed) == (first, 0)
    assert (second.batches, second.logits) == ("flat", "trained")
    batch = flat_batch([{"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}, {"input_ids": [4, 5], "labels": [-100, 5]}])
    tried = tiny(seed=1)
    passes(tried, tmp_path / "another home")
    assert torch.equal(other(**batch).loss, tried(**batch).loss)


@pytest.mark.parametrize("settings", [{"num_hidden_layers": 3}, {"dtype": "bfloat16"}, {"rms_norm_eps": 1e-5}])
def test_another_architecture_or_dtype_has_its_own_trial(tmp_path: Path, settings: dict[str, Any]) -> None:
    passes(tiny(), tmp_path)
    model = tiny(**{name: value for name, value in settings.items() if name != "dtype"})
    if "dtype" in settings:
        import torch

        model = model.to(torch.bfloat16)
    assert passes(model, tmp_path)[1] > 0


def test_refused_architecture_is_refused_with_its_reason_each_time(tmp_path: Path) -> None:
    softcapped = {"final_logit_softcapping": 30.0}
    reasons = [[problem.params for problem in passes(tiny(**softcapped), tmp_path)[0].warnings] for _ in (1, 2)]
    assert reasons[0] == reasons[1]
    assert reasons[0][0]["reason"] == "own_logits"


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"attention": "of the future"}', b"\xff\x00"])
def test_damaged_record_costs_only_the_trial(tmp_path: Path, content: bytes) -> None:
    first, _ = passes(tiny(), tmp_path)
    (record,) = tmp_path.iterdir()
    record.write_bytes(content)
    again, computed = passes(tiny(), tmp_path)
    assert again == first
    assert computed > 0


def test_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert passes(tiny(), tmp_path / "file" / "cache")[0].batches == "flat"
