"""First weights from the model (PiSSA) and from the data (EVA): the model stays the same, and so does what is saved."""

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from interfaces.events import Sampled, Step
from interfaces.files import read_json
from interfaces.folders import Home
from interfaces.problems import Problem
from interfaces.texts import sentence
from tests.conftest import write_rows
from tests.support.tiny_runs import StopAfter, adapter_bytes, events, train

pytestmark = pytest.mark.tiny
WEIGHTS = "adapter_model.safetensors"


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(input_ids=torch.tensor([[5, 6, 7, 8, 9]])).logits


@pytest.mark.parametrize("lora", [{"r": 4}, {"r": 4, "use_rslora": True, "rank_pattern": {"q_proj": 2}}])
def test_pissa_takes_the_main_directions_and_is_saved_for_the_unchanged_base(
    home: Home, tiny_config: dict[str, Any], tiny_model: Path, lora: dict[str, Any]
) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    config = {**tiny_config, "lora": {**lora, "init_lora_weights": "pissa"}, "learning_rate": 1e-3}
    folder, result = train(home, config)
    assert result["state"] == "finished", result["problem"]
    plain, _ = train(home, {**config, "lora": lora})
    before_any = events(plain, Step)[0].loss
    assert events(folder, Step)[0].loss == pytest.approx(before_any, rel=1e-4)  # the same model before its first step
    stored = read_json(folder.adapter / "adapter_config.json")
    assert stored is not None
    assert (stored["r"], stored["init_lora_weights"]) == (8, True)
    kept = load_file(folder.adapter / WEIGHTS)
    assert {len(weight) for name, weight in kept.items() if "q_proj.lora_A" in name} == {
        4 if "rank_pattern" in lora else 8
    }
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    before = logits(base)
    tuned = PeftModel.from_pretrained(base, str(folder.adapter))
    assert (logits(tuned) - before).abs().max() > 1e-3
    with tuned.disable_adapter():
        assert torch.equal(logits(tuned), before)

    # The trained adapter on the rest of the base, from which the main directions were taken.
    settings = LoraConfig(target_modules="all-linear", lora_alpha=32, **lora)
    rest = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32), settings)
    for name, layer in rest.named_modules():
        if hasattr(layer, "lora_A"):
            down, first_down = kept[f"{name}.lora_A.weight"].chunk(2)
            up, first_up = kept[f"{name}.lora_B.weight"].chunk(2, dim=1)
            weight, taken = layer.base_layer.weight.detach(), -layer.scaling["default"] * first_up @ first_down
            least = torch.linalg.svdvals(weight)[len(down) :].norm()  # Eckart and Young
            assert least <= (weight - taken).norm() <= 1.01 * least, name
            layer.base_layer.weight.data = weight - taken
            layer.lora_A["default"].weight.data, layer.lora_B["default"].weight.data = down.clone(), up.clone()
    assert torch.allclose(logits(rest), logits(tuned), atol=1e-4)


@pytest.mark.parametrize("kind", ["pissa", "eva"])
@pytest.mark.parametrize(
    "more",
    [{}, {"method": "dpo"}, {"method": "reward", "long_rows": "drop"}, {"bf16": True}],
    ids=lambda more: "-".join(more) or "sft",
)
def test_a_stopped_run_resumes_to_the_same_weights(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path, kind: str, more: dict[str, Any]
) -> None:
    from trainer.lora_trainer import LoRATrainer

    rows = [{"prompt": f"Say {n}.", "chosen": f"It is {n}", "rejected": "No" * (1 + n % 4)} for n in range(12)]
    config = {
        **tiny_config, "lora": {"r": 4, "init_lora_weights": kind}, "save_steps": 3, "learning_rate": 1e-3,
        "sample_prompts": ["Say 3."], **more,
    }  # fmt: skip
    if "method" in more:
        config["dataset"] = str(write_rows(tmp_path / "pairs.jsonl", rows))
    undisturbed, result = train(home, config)
    assert result["state"] == "finished", result["problem"]
    folder = home.create_run()
    trainer = LoRATrainer(folder)
    trainer.stop = StopAfter(folder, 4, "save")
    trainer.train(config)
    train(home, config, folder, attempt=2)
    steps = events(undisturbed, Step)
    assert [(step.loss, step.metrics) for step in events(folder, Step)] == [(step.loss, step.metrics) for step in steps]
    assert adapter_bytes(folder) == adapter_bytes(undisturbed)
    if more.get("method") == "reward":
        return
    plain, _ = train(home, {**config, "lora": {"r": 4}, "max_steps": 1})
    assert events(undisturbed, Sampled)[0].answer == events(plain, Sampled)[0].answer  # the base's own
    if more.get("method") == "dpo":
        assert steps[0].loss == pytest.approx(0.6931, abs=1e-3)  # the reference is the model before its first step


def test_a_better_checkpoint_of_pissa_is_kept(home: Home, tiny_config: dict[str, Any]) -> None:
    config = {
        **tiny_config, "lora": {"r": 4, "init_lora_weights": "pissa"}, "validation_split": 0.25, "eval_steps": 2,
        "save_steps": 2, "learning_rate": 0.3, "load_best_model_at_end": True, "save_total_limit": 5,
    }  # fmt: skip
    folder, result = train(home, config)
    assert result["state"] == "finished", result["problem"]
    best = [load_file(path / WEIGHTS) for path in folder.checkpoints.glob("step-*")]
    kept = load_file(folder.adapter / WEIGHTS)
    assert sum(all(kept[name].equal(one[name]) for name in kept) for one in best) == 1


def test_eva_takes_the_directions_of_the_data_at_the_ranks_asked_for(
    home: Home, tiny_config: dict[str, Any], tiny_model: Path
) -> None:
    import torch

    config = {**tiny_config, "max_steps": 1, "learning_rate": 1e-9}
    folder, result = train(home, {**config, "lora": {"r": 4, "init_lora_weights": "eva"}})
    assert result["state"] == "finished", result["problem"]
    plain, _ = train(home, {**config, "lora": {"r": 4}})
    ours, theirs = (load_file(run.adapter / WEIGHTS) for run in (folder, plain))
    assert {name: one.shape for name, one in ours.items()} == {name: one.shape for name, one in theirs.items()}
    for name, down in ours.items():
        if "lora_A" in name:  # orthonormal, as main directions are
            assert torch.allclose(down @ down.T, torch.eye(4), atol=1e-3), name
            assert not torch.allclose(down, theirs[name], atol=1e-3)
    assert read_json(folder.adapter / "adapter_config.json")["init_lora_weights"] is True  # type: ignore[index]


def test_embeddings_have_no_main_directions_to_take_out(home: Home, tiny_config: dict[str, Any]) -> None:
    lora = {"r": 4, "init_lora_weights": "pissa", "target_modules": ["embed_tokens", "q_proj"]}
    _, result = train(home, {**tiny_config, "lora": lora})
    assert result["problem"] is not None
    assert result["problem"]["params"] == {"field": "lora.init_lora_weights", "other": "lora.target_modules"}


@pytest.mark.parametrize(("rank", "expected"), [(65, "at_most_inputs_for_eva"), (60, "at_most_tokens_for_eva")])
def test_a_rank_with_too_few_directions_is_refused(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path, rank: int, expected: str
) -> None:
    rows = [{"prompt": "Say 1.", "completion": "One"}] * 2
    config = {**tiny_config, "dataset": str(write_rows(tmp_path / "few.jsonl", rows))}
    _, result = train(home, {**config, "lora": {"r": rank, "init_lora_weights": "eva"}})
    assert result["state"] == "failed"
    assert result["problem"]["params"]["expected"] == expected
    assert "{" not in sentence(Problem.model_validate(result["problem"]))
