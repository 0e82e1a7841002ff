import json
from pathlib import Path
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.lora_settings import LoraSettings
from tests.support.adapters import run_with_model

pytestmark = pytest.mark.tiny


def adapted(path: Path, lora: LoraSettings):
    from transformers import AutoModelForCausalLM

    from trainer.artifacts.adapter import add_adapter
    from trainer.models.model_files import ModelFiles

    model = AutoModelForCausalLM.from_pretrained(path)
    return add_adapter(model, FineTuneConfig(lora=lora), ModelFiles(path, path.name, None))


def trained(model) -> dict[str, int]:
    return {name: parameter.numel() for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_only_linear_layers_get_trainable_adapters(tiny_model: Path) -> None:
    names = trained(adapted(tiny_model, LoraSettings(r=4)))
    assert len(names) == 2 * 7 * 2  # two layers; q k v o gate up down; A and B
    assert all("lora_" in name for name in names)
    assert not any("lm_head" in name for name in names)


def test_named_layers_only(tiny_model: Path) -> None:
    names = trained(adapted(tiny_model, LoraSettings(r=4, target_modules=["q_proj"])))
    assert len(names) == 4
    assert sum(names.values()) == 2 * 2 * 64 * 4


def test_a_fresh_adapter_changes_no_answer(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    ids = torch.arange(20)[None]
    with torch.no_grad():
        base = AutoModelForCausalLM.from_pretrained(tiny_model)(ids).logits
        assert torch.equal(adapted(tiny_model, LoraSettings())(ids).logits, base)


@pytest.mark.parametrize(
    "change",
    [{"target_modules": "^(([a-z.0-9_]+)+)+X$"}, {"exclude_modules": "(a+)+b"}, {"rank_pattern": {"^(a+)+$": 4}}, {"alpha_pattern": {"(x|x)*": 4}}],
)  # fmt: skip
def test_adapter_with_regex_is_rejected(tmp_path: Path, change: dict[str, Any]) -> None:
    from trainer.artifacts.adapter import settings_of

    plain = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "target_modules": ["q_proj"]}
    (tmp_path / "adapter_config.json").write_text(json.dumps({**plain, **change}))
    with pytest.raises(FineTuneError, match="regular expression"):
        settings_of(tmp_path, "theirs")


@pytest.mark.parametrize(
    ("change", "words"),
    [({"init_lora_weights": "pissa"}, "pissa"), ({"init_lora_weights": "olora"}, "olora"), ({"alora_invocation_tokens": [1, 2]}, "activated")],
)  # fmt: skip
def test_an_adapter_that_belongs_to_another_base_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    from trainer.artifacts.adapter import settings_of

    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    (tmp_path / "adapter_config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(FineTuneError, match=words):
        settings_of(tmp_path, "theirs")


def test_a_whole_model_is_no_adapter_to_start_from(home: Home, tiny_model: Path) -> None:
    from trainer.artifacts.adapter import find_adapter

    run = run_with_model(home, tiny_model)
    for value in (run.id, str(run.model), str(run.checkpoint(2))):
        with pytest.raises(FineTuneError, match="base model"):
            find_adapter(value, home)


def test_some_layers_have_another_rank(tiny_model: Path) -> None:
    pattern = LoraSettings(r=4, rank_pattern={"q_proj": 6}, alpha_pattern={"q_proj": 3})
    model = adapted(tiny_model, pattern)
    ranks = {name.split(".")[-4]: len(one) for name, one in model.named_parameters() if "lora_A" in name}
    assert (ranks["q_proj"], ranks["v_proj"]) == (6, 4)
    assert model.base_model.model.model.layers[0].self_attn.q_proj.scaling["default"] == 0.5
    with pytest.raises(FineTuneError, match="z_proj"):
        adapted(tiny_model, LoraSettings(rank_pattern={"z_proj": 6}))


def test_only_the_chosen_layers_get_an_adapter(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    from interfaces.config import FineTuneConfig
    from trainer.artifacts.adapter import add_adapter
    from trainer.models.model_files import ModelFiles

    config = FineTuneConfig(dataset="x", lora={"layers_to_transform": "1"})  # type: ignore[arg-type]
    files = ModelFiles(tiny_model, "tiny", None)
    adapted = add_adapter(AutoModelForCausalLM.from_pretrained(tiny_model), config, files)
    trained = [name for name, one in adapted.named_parameters() if one.requires_grad]
    assert trained
    assert all(".layers.1." in name for name in trained)
    beyond = FineTuneConfig(dataset="x", lora={"layers_to_transform": [0, 2]})  # type: ignore[arg-type]
    with pytest.raises(FineTuneError, match="at most 1"):
        add_adapter(AutoModelForCausalLM.from_pretrained(tiny_model), beyond, files)
