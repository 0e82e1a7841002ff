"""A merged folder loads in plain transformers and computes what the adapter does; a killed one is completed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interfaces.errors import FineTuneError
from tests.support.adapters import adapter_folder
from trainer.models.model_files import ModelFiles

pytestmark = pytest.mark.tiny


@pytest.fixture
def parts(tiny_model: Path, tmp_path: Path) -> dict[str, Any]:
    from trainer.artifacts.merged_model import MergedModel
    from trainer.tokens.tokenizer import load_template

    adapter = adapter_folder(tmp_path / "adapter", tiny_model, 1)
    template = load_template(ModelFiles(tiny_model, "tiny", None), "tiny")
    return {"base": tiny_model, "adapter": adapter, "template": template, "merged": MergedModel(tiny_model, adapter)}


def write(parts: dict[str, Any], folder: Path, number_format: str = "f32", **more: Any) -> list[tuple[int, int]]:
    from trainer.artifacts.merged_folder import MergedFolder

    told: list[tuple[int, int]] = []
    made = MergedFolder(parts["merged"], number_format)
    made.write(folder, parts["base"], parts["adapter"], parts["template"], lambda *seen: told.append(seen))
    assert told[-1] == (made.bytes, made.bytes)
    return told


def test_plain_transformers_computes_what_the_adapter_does(parts: dict[str, Any], tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    write(parts, tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(parts["base"]), str(parts["adapter"]))
    ids = torch.tensor([parts["template"].prompt_ids("What is this?")])
    with torch.inference_mode():
        own, wanted = merged(ids).logits, adapted(ids).logits
    assert float((own - wanted).abs().max() / wanted.abs().max()) < 1e-4
    assert merged.generation_config.eos_token_id == [parts["template"].end_id]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    talk = [{"role": "user", "content": "Hi"}]
    assert tokenizer.apply_chat_template(talk, add_generation_prompt=True)["input_ids"] == parts["template"].prompt_ids("Hi")  # fmt: skip


@pytest.mark.parametrize("number_format", ["f16", "bf16"])
def test_other_number_formats_are_rounded_once(parts: dict[str, Any], tmp_path: Path, number_format: str) -> None:
    import torch
    from safetensors.torch import load_file

    write(parts, tmp_path / "merged", number_format)
    dtype = {"f16": torch.float16, "bf16": torch.bfloat16}[number_format]
    for name, tensor in load_file(tmp_path / "merged" / "model.safetensors").items():
        assert torch.equal(tensor, parts["merged"].tensor(name).to(dtype)), name
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["dtype"] == str(dtype).removeprefix("torch.")


def test_shards_that_are_complete_are_kept(
    parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM

    from trainer.artifacts import merged_folder

    monkeypatch.setattr(merged_folder, "SHARD_BYTES", 60_000)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    write(parts, whole)
    shards = sorted(whole.glob("*.safetensors"))
    assert len(shards) > 3
    own, seen = merged_folder._parts, 0

    def killed(*arguments: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == 12:
            raise KeyboardInterrupt
        return own(*arguments)

    monkeypatch.setattr(merged_folder, "_parts", killed)
    with pytest.raises(KeyboardInterrupt):
        write(parts, torn)
    before = {path.name: path.stat().st_mtime_ns for path in torn.glob("*.safetensors")}
    assert before
    monkeypatch.setattr(merged_folder, "_parts", own)
    write(parts, torn)
    assert {name: (torn / name).stat().st_mtime_ns for name in before} == before
    assert [path.read_bytes() for path in sorted(torn.glob("*.safetensors"))] == [path.read_bytes() for path in shards]
    AutoModelForCausalLM.from_pretrained(torn)
    assert not list(torn.glob("*.part"))


def test_a_weight_that_f16_cannot_hold_is_refused(
    parts: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = parts["merged"].tensor
    monkeypatch.setattr(parts["merged"], "tensor", lambda name: own(name).float() * 1e7)
    with pytest.raises(FineTuneError, match="too large for f16"):
        write(parts, tmp_path / "merged", "f16")


def test_no_path_of_this_machine_is_in_the_files(parts: dict[str, Any], tmp_path: Path) -> None:
    write(parts, tmp_path / "merged")
    for path in (tmp_path / "merged").iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name
        assert str(parts["base"]).encode() not in path.read_bytes(), path.name
