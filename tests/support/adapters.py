"""Adapters of tiny models that change what they say, and runs that have them, without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from interfaces.events import Stopped
from interfaces.folders import Home, RunFolder
from tests.support.records import recorded_run, step


def adapter_folder(place: Path, model: Path, seed: int) -> Path:
    """A saved adapter with weights that depend on the seed."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    settings = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    made = get_peft_model(AutoModelForCausalLM.from_pretrained(model), settings)
    torch.manual_seed(seed)
    for name, parameter in made.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    made.peft_config["default"].base_model_name_or_path = f"./{model.name}"  # as a run saves it
    made.save_pretrained(place, save_embedding_layers=False)
    (place / "README.md").unlink()
    return place


def foreign_adapter(place: Path, model: Path, seed: int = 1, **settings: Any) -> Path:
    """One that others have trained: it names its base model by a path of this machine."""
    config = adapter_folder(place, model, seed) / "adapter_config.json"
    stored = json.loads(config.read_text())
    config.write_text(json.dumps({**stored, "base_model_name_or_path": str(model), **settings}))
    return place


def whole_model(place: Path, model: Path, seed: int, dtype: str = "bfloat16") -> Path:
    """A model whose weights full fine-tuning might have left, with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    made.save_pretrained(place)
    AutoTokenizer.from_pretrained(model).save_pretrained(place)
    return place


def run_with_model(home: Home, model: Path, **settings: Any) -> RunFolder:
    """A stopped run of a full fine-tuning whose model is saved, with a checkpoint of step 2."""
    ended = step(1), Stopped(step=1, resumable=True)
    run = recorded_run(home, *ended, model_name=str(model), tuning="full", **settings)
    whole_model(run.model, model, 1)
    whole_model(run.checkpoint(2), model, 2, "float32")
    return run


def run_with_adapter(home: Home, model: Path, **settings: Any) -> RunFolder:
    """A stopped run whose adapter is saved, with a checkpoint of step 2."""
    run = recorded_run(home, step(1), Stopped(step=1, resumable=True), model_name=str(model), **settings)
    adapter_folder(run.adapter, model, 1)
    adapter_folder(run.checkpoint(2), model, 2)
    return run
