"""Merging tensor by tensor gives what PEFT's own merge gives, to the last bit; what it can't merge is refused by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from interfaces.errors import FineTuneError
from interfaces.problems import Code

pytestmark = pytest.mark.tiny
LINEAR = {"r": 4, "lora_alpha": 6, "target_modules": "all-linear"}


def base_model(place: Path, family: str = "qwen2", **more: Any) -> Path:
    """A tiny model of a family, in bf16 as models usually are."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(1)
    sizes: dict[str, Any] = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}  # fmt: skip
    if family == "gpt2":
        sizes = {"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4}
    config = AutoConfig.for_model(family, **{"tie_word_embeddings": False, **sizes, **more})
    AutoModelForCausalLM.from_config(config).to(torch.bfloat16).save_pretrained(place)
    return place


def adapter_of(base: Path, place: Path, **settings: Any) -> Path:
    """An adapter whose weights, and everything else that it trains, are random."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), LoraConfig(task_type="CAUSAL_LM", **settings)
    )
    torch.manual_seed(2)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(place)
    return place


def merged_by_peft(base: Path, adapter: Path) -> dict[str, Any]:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return dict(PeftModel.from_pretrained(loaded, str(adapter)).merge_and_unload(safe_merge=True).state_dict())


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("qwen2", LINEAR),
        ("llama", {**LINEAR, "use_rslora": True}),
        ("qwen2", {**LINEAR, "use_dora": True}),
        ("qwen2", {**LINEAR, "rank_pattern": {"q_proj": 8}, "alpha_pattern": {"v_proj": 3, "layers.1.mlp.up_proj": 9}}),
        ("qwen2", {**LINEAR, "target_modules": ["q_proj"], "modules_to_save": ["lm_head", "embed_tokens"]}),
        ("qwen2", {**LINEAR, "target_modules": ["q_proj", "embed_tokens"]}),
        ("qwen2", {**LINEAR, "target_modules": ["q_proj"], "bias": "lora_only"}),
        ("gpt2", {**LINEAR, "target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}),
        ("gpt2", {**LINEAR, "target_modules": ["c_attn"], "fan_in_fan_out": True, "use_dora": True}),
    ],
    ids=["lora", "rslora", "dora", "patterns", "modules_to_save", "embeddings", "bias", "conv1d", "conv1d_dora"],
)
def test_every_tensor_is_that_of_peft(tmp_path: Path, family: str, settings: dict[str, Any]) -> None:
    from trainer.artifacts.merged_model import MergedModel

    base = base_model(tmp_path / "base", family)
    adapter = adapter_of(base, tmp_path / "adapter", **settings)
    merged, expected = MergedModel(base, adapter), merged_by_peft(base, adapter)
    changed = [name for name in merged.names if merged.is_changed(name)]
    assert changed
    for name in merged.names:
        own = merged.tensor(name).float()
        wanted = expected.get(name, expected.get(f"transformer.{name}"))
        assert wanted is not None
        difference = float((own - wanted).abs().max())
        assert difference == 0 if not settings.get("use_dora") else difference < 1e-6, (name, difference)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"init_lora_weights": "pissa"}, "init_lora_weights=pissa"),
        ({"lora_bias": True}, "lora_bias"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"base": {"quantization_config": {"load_in_4bit": True}}}, "quantized"),
        ({"base": {"tie_word_embeddings": True}, "target": "embed_tokens"}, "same weights"),
        ({"rename": True}, "model.layers.0.gone"),
    ],
)
def test_what_cannot_be_merged_is_named(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    from safetensors.torch import load_file, save_file

    from trainer.artifacts.merged_model import MergedModel

    base = base_model(tmp_path / "base")
    adapter = adapter_of(base, tmp_path / "adapter", r=2, target_modules=[changes.pop("target", "q_proj")])
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, **changes.pop("base", {})}))
    if changes.pop("rename", False):
        weights = load_file(adapter / "adapter_model.safetensors")
        renamed = {key.replace("self_attn", "gone"): value for key, value in weights.items()}
        save_file(renamed, adapter / "adapter_model.safetensors")
    settings = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**settings, **changes}))
    with pytest.raises(FineTuneError) as caught:
        MergedModel(base, adapter)
    assert caught.value.problems[0].code is Code.MERGE_UNSUPPORTED
    assert reason in str(caught.value)


def test_tied_tables_are_merged_if_they_were_trained_as_one(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from trainer.artifacts.merged_model import MergedModel

    base = base_model(tmp_path / "base", tie_word_embeddings=True)
    settings = {"r": 2, "target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}
    adapter = adapter_of(base, tmp_path / "adapter", **settings)
    merged, expected = MergedModel(base, adapter), merged_by_peft(base, adapter)
    assert merged.is_changed("model.embed_tokens.weight")
    for name in merged.names:
        assert (merged.tensor(name).float() - expected[name]).abs().max() == 0, name
    stored = load_file(adapter / "adapter_model.safetensors")
    head = "base_model.model.lm_head.weight"
    save_file({**stored, head: stored[head] + 1}, adapter / "adapter_model.safetensors")
    with pytest.raises(FineTuneError, match="same weights"):
        MergedModel(base, adapter)


def test_an_adapter_of_another_size_is_named(tmp_path: Path) -> None:
    from trainer.artifacts.merged_model import MergedModel

    base, other = base_model(tmp_path / "base"), base_model(tmp_path / "other", vocab_size=64)
    adapter = adapter_of(base, tmp_path / "adapter", r=2, target_modules=["q_proj"], modules_to_save=["lm_head"])
    shutil.rmtree(base)
    with pytest.raises(FineTuneError, match=r"lm_head\.weight has another shape"):
        MergedModel(other, adapter)
