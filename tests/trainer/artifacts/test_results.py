"""A whole model on the disk: in shards, with the settings of its base, and read back to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interfaces.files import read_json

pytestmark = pytest.mark.tiny


def whole(model_folder: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from trainer.artifacts.results import WholeModel
    from trainer.models.model_files import ModelFiles

    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    return WholeModel(model, ModelFiles(model_folder, "tiny", None), tokenizer, [256, 7])


@pytest.mark.parametrize("shard", [2_000_000_000, 50_000])
def test_what_is_written_is_read_to_the_last_bit(
    tiny_model: Path, tmp_path: Path, shard: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from trainer.artifacts import results

    monkeypatch.setattr(results, "SHARD_BYTES", shard)
    made = whole(tiny_model)
    made.model.config.use_cache = False
    weights = {name: weight.float() + 1e-5 for name, weight in made.model.state_dict().items()}
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    made.write(tmp_path / "out", weights)
    files = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert (files == ["model.safetensors"]) is (shard > 10**6)
    read = made.read(tmp_path / "out", torch.float32).state_dict()
    assert read.keys() == weights.keys()
    assert all(torch.equal(read[name], weights[name]) for name in read)
    config, base = read_json(tmp_path / "out" / "config.json"), read_json(tiny_model / "config.json")
    assert config == {**(base or {}), "dtype": "float32"}, "use_cache was off in training only"
    assert (read_json(tmp_path / "out" / "generation_config.json") or {})["eos_token_id"] == [256, 7]
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (tiny_model / "tokenizer.json").read_bytes()
