"""The reward model's loss and gradients are those of TRL on the same pairs; a run leaves one that plain PEFT loads."""

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from interfaces.config import FineTuneConfig
from interfaces.events import Evaluated, Sampled, Step
from interfaces.folders import Home
from tests.conftest import write_rows
from tests.support.preferences import assert_same, loss_and_gradients, method_of, pairs, scorer, sides, their_trainer
from tests.support.tiny_runs import StopAfter, adapter_bytes, events, train

pytestmark = pytest.mark.tiny
WEIGHTS = "adapter_model.safetensors"


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
@pytest.mark.parametrize("centered", [0.0, 0.3])
def test_loss_and_gradients_equal_those_of_trl(tiny_model: Path, tmp_path: Path, centered: float, flat: bool) -> None:
    from transformers import AutoTokenizer

    from trainer.training.loop import Means

    found, tokenizer = sides(), AutoTokenizer.from_pretrained(tiny_model)
    settings = {"center_rewards_coefficient": centered or None}
    trainer = their_trainer("reward", scorer(tiny_model, ours=False), tmp_path, tokenizer, **settings)
    batch = trainer.data_collator([{"chosen_ids": p + c, "rejected_ids": p + r} for p, c, r in found])
    trainer.model.train()
    expected = loss_and_gradients(trainer.model, trainer.compute_loss(trainer.model, batch))
    config = FineTuneConfig(method="reward")
    config.reward.center_rewards_coefficient = centered
    model, method = scorer(tiny_model, flat=flat), method_of(config, flat)
    ours = method.loss(model, method.collate(pairs(found)), 4)
    assert_same(loss_and_gradients(model, ours.loss), expected)
    means, metrics = Means(), trainer._metrics["train"]
    means.add([ours.metrics])
    values = means.values()
    assert values["rewards/accuracies"] == metrics["accuracy"][-1]
    assert values["rewards/margins"] == pytest.approx(metrics["margin"][-1], rel=1e-4)
    mean = (values["rewards/chosen"] + values["rewards/rejected"]) / 2
    assert mean == pytest.approx(metrics["mean_reward"][-1], rel=1e-4)


def pairs_file(tmp_path: Path) -> str:
    rows = [{"prompt": f"Say {n}.", "chosen": f"It is {n}", "rejected": "No" * (1 + n % 4)} for n in range(12)]
    return str(write_rows(tmp_path / "pairs.jsonl", rows))


@pytest.mark.parametrize(
    "more",
    [{"bf16": True, "gradient_checkpointing": True}, {"packing": True}, {"lora": {"layers_to_transform": [1]}}],
    ids=lambda more: "-".join(more),
)
def test_loss_falls_in_other_training_modes(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path, more: dict[str, Any]
) -> None:
    config = {
        **tiny_config,
        "method": "reward",
        "long_rows": "drop",
        "num_train_epochs": 4,
        "dataset": pairs_file(tmp_path),
        **more,
    }
    _, result = train(home, config)
    assert result["state"] == "finished", result["problem"]
    assert result["train_loss_last"] < 0.5 * result["train_loss_first"]


def test_it_starts_from_an_adapter_that_has_learned_to_answer(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    first, _ = train(home, tiny_config)
    config = {
        **tiny_config,
        "method": "reward",
        "long_rows": "drop",
        "dataset": pairs_file(tmp_path),
        "learning_rate": 1e-8,
        "max_steps": 1,
    }
    folder, result = train(home, {**config, "adapter_name_or_path": str(first.adapter)})
    assert result["state"] == "finished", result["problem"]
    kept, given = load_file(folder.adapter / WEIGHTS), load_file(first.adapter / WEIGHTS)
    assert set(given) < set(kept)
    assert all((kept[name] - given[name]).abs().max() < 1e-6 for name in given)


def test_a_run_learns_scores_resumes_bit_equal_and_leaves_what_plain_peft_loads(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    import torch

    from trainer.lora_trainer import LoRATrainer

    config = {
        **tiny_config, "method": "reward", "long_rows": "drop", "num_train_epochs": 4, "learning_rate": 1e-3, "validation_split": 0.2,
        "eval_steps": 5, "save_steps": 5, "sample_prompts": ["Say 3."],
        "dataset": pairs_file(tmp_path),
    }  # fmt: skip
    undisturbed, result = train(home, config)
    assert result["state"] == "finished"
    steps = events(undisturbed, Step)
    assert steps[-1].metrics["rewards/accuracies"] == 1
    assert steps[-1].loss < 0.5 * steps[0].loss
    assert events(undisturbed, Evaluated)[-1].metrics["rewards/accuracies"] == 1
    assert not events(undisturbed, Sampled)  # it has no answers
    folder = home.create_run()
    trainer = LoRATrainer(folder)
    trainer.stop = StopAfter(folder, 7, "save")
    trainer.train(config)
    train(home, config, folder, attempt=2)
    assert [(step.loss, step.metrics) for step in events(folder, Step)] == [(step.loss, step.metrics) for step in steps]
    assert adapter_bytes(folder) == adapter_bytes(undisturbed)

    # As its card says.
    card = (folder.adapter / "README.md").read_text(encoding="utf-8")
    code = card.split("```python\n")[1].split("```")[0].replace('"BASE"', repr(tiny_config["model_name"]))
    code = code.replace('"."', repr(str(folder.adapter)))
    scores = []
    for answer in ("It is 5", "NoNo"):
        talk = [{"role": "user", "content": "Say 5."}, {"role": "assistant", "content": answer}]
        lines = [f"talk = {talk!r}" if line.startswith("talk =") else line for line in code.splitlines()]
        names: dict[str, Any] = {}
        with torch.no_grad():
            exec("\n".join(lines), names)
        scores.append(names["score"])
    learned = steps[-1].metrics
    assert scores[0] == pytest.approx(learned["rewards/chosen"], abs=0.3 * learned["rewards/margins"])
    assert scores[1] == pytest.approx(learned["rewards/rejected"], abs=0.3 * learned["rewards/margins"])
