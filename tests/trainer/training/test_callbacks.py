"""The clock's checkpoints; steps, stops and early stopping are seen in whole runs (test_run.py)."""

import math
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import CheckpointCommitted, Evaluated, Step, Warned, read_events
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from tests.support.checkpoints import DAMAGE
from trainer.artifacts.checkpoints import committed_steps

pytestmark = pytest.mark.tiny


def test_checkpoints_are_also_saved_by_time(home: Home, tiny_config: dict[str, Any]) -> None:
    from trainer.lora_trainer import LoRATrainer

    folder = home.create_run()
    LoRATrainer(folder).train({**tiny_config, "save_minutes": 1e-6, "save_total_limit": 3})
    committed = [event.step for event in read_events(folder.events) if isinstance(event, CheckpointCommitted)]
    assert committed == list(range(1, 9))
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == [f"step-{step:07d}" for step in (6, 7, 8)]


def load(folder: Path) -> dict[str, Any]:
    """The adapter's weights in a folder."""
    from safetensors.torch import load_file

    weights: dict[str, Any] = load_file(folder / "adapter_model.safetensors")
    return weights


def warnings_of(folder: RunFolder) -> dict[Code, dict[str, Any]]:
    return {
        event.problem.code: event.problem.params for event in read_events(folder.events) if isinstance(event, Warned)
    }


@pytest.mark.parametrize("logging_steps", [1, 10])
@pytest.mark.parametrize("where", ["the loss", "the gradient"])
def test_a_diverging_run_ends_within_three_steps_on_a_finite_checkpoint(
    home: Home, tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, where: str, logging_steps: int
) -> None:
    """A number goes bad in step 6, as a broken memory or a wild rate makes it; step 6 is to be saved, too."""
    import torch

    from trainer.lora_trainer import LoRATrainer
    from trainer.training.loop import TrainingLoop

    step = TrainingLoop.training_step

    def poisoned(self: TrainingLoop, *arguments: Any) -> torch.Tensor:
        loss = step(self, *arguments)
        if self.state.global_step == 5:
            trained = next(parameter for parameter in self.model.parameters() if parameter.requires_grad)
            assert trained.grad is not None
            if where == "the gradient":
                trained.grad.fill_(torch.nan)
            else:
                loss.fill_(torch.nan)
        return loss

    monkeypatch.setattr(TrainingLoop, "training_step", poisoned)
    folder = home.create_run()
    result = LoRATrainer(folder).train({**tiny_config, "save_steps": 3, "logging_steps": logging_steps})
    assert (result["state"], result["problem"]["code"]) == ("failed", Code.LOSS_NOT_FINITE)
    assert 6 <= result["problem"]["params"]["step"] <= 9
    reported = [event for event in read_events(folder.events) if isinstance(event, Step)]
    if where == "the loss":
        assert not math.isfinite(reported[-1].loss)
    assert committed_steps(folder) == [3]
    weights = load(folder.checkpoint(3))
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())


def test_best_checkpoint_by_validation_loss_is_kept(home: Home, tiny_config: dict[str, Any]) -> None:
    """A rate that unlearns: the best measurement is an early one, and no interval of saving meets it."""
    from trainer.lora_trainer import LoRATrainer

    config = {
        **tiny_config, "num_train_epochs": 8, "validation_split": 0.25, "eval_steps": 1, "save_steps": 5,
        "learning_rate": 0.02, "lr_scheduler_type": "constant", "early_stopping_patience": 4,
    }  # fmt: skip
    adapters = {}
    for best_at_end in (False, True):
        folder = home.create_run()
        result = LoRATrainer(folder).train({**config, "load_best_model_at_end": best_at_end})
        assert result["state"] == "finished"
        losses = {event.step: event.loss for event in read_events(folder.events) if isinstance(event, Evaluated)}
        best = min(losses, key=lambda step: losses[step])
        reported = warnings_of(folder)
        assert reported[Code.STOPPED_EARLY]["best"] == best
        assert (Code.BEST_ADAPTER in reported) is best_at_end
        assert best in committed_steps(folder)
        assert best < max(committed_steps(folder))
        kept = load(folder.checkpoint(best))
        adapters[best_at_end] = load(folder.adapter)
        same = all(bool((adapters[best_at_end][name] == value).all()) for name, value in kept.items())
        assert same is best_at_end


def test_a_damaged_best_checkpoint_falls_back_to_the_last_adapter(home: Home, tiny_config: dict[str, Any]) -> None:
    from trainer.lora_trainer import LoRATrainer

    config = {
        **tiny_config, "num_train_epochs": 8, "validation_split": 0.25, "eval_steps": 1, "save_steps": 5,
        "learning_rate": 0.02, "lr_scheduler_type": "constant", "early_stopping_patience": 4,
        "load_best_model_at_end": True,
    }  # fmt: skip
    folder = home.create_run()
    LoRATrainer(folder).train(config)
    best = warnings_of(folder)[Code.BEST_ADAPTER]["best"]
    card = (folder.adapter / "README.md").read_text()
    assert f"{warnings_of(folder)[Code.BEST_ADAPTER]['loss']:.4f}" in card
    assert f"{best} steps" in card
    DAMAGE["one bit"](folder.checkpoint(best))
    LoRATrainer(folder, 2).train(config)
    reported = [
        event.problem for event in read_events(folder.events) if isinstance(event, Warned) and event.attempt == 2
    ]
    assert Code.CHECKPOINT_REJECTED in {problem.code for problem in reported}
    assert Code.BEST_ADAPTER not in {problem.code for problem in reported}


def test_adapter_of_earlier_stop_is_removed_after_next_save(
    home: Home, tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever downloads it, or continues from it, is to have the newest."""
    from trainer.artifacts.adapter import find_adapter
    from trainer.lora_trainer import LoRATrainer
    from trainer.training.loop import TrainingLoop

    folder = home.create_run()
    folder.config.write_text("dataset: x")
    folder.adapter.mkdir()
    (folder.adapter / "adapter_config.json").write_text("of long ago")
    step = TrainingLoop.training_step

    def breaks(self: TrainingLoop, *arguments: Any) -> Any:
        if self.state.global_step == 5:
            raise RuntimeError("a crash")
        return step(self, *arguments)

    monkeypatch.setattr(TrainingLoop, "training_step", breaks)
    assert LoRATrainer(folder).train({**tiny_config, "save_steps": 2})["state"] == "failed"
    assert not folder.adapter.exists()
    assert find_adapter(folder.id, home) == folder.checkpoint(4)


def test_rotation_always_keeps_two_checkpoints(home: Home, tiny_config: dict[str, Any]) -> None:
    from trainer.lora_trainer import LoRATrainer

    folder = home.create_run()
    LoRATrainer(folder).train({**tiny_config, "save_steps": 1})
    assert committed_steps(folder) == [7, 8]
    assert [event.seconds > 0 for event in read_events(folder.events) if isinstance(event, CheckpointCommitted)] == [
        True
    ] * 8


def test_persistent_high_loss_ends_run_but_peaks_do_not(
    home: Home, tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.lora_trainer import LoRATrainer
    from trainer.training.loop import TrainingLoop

    take, bad = TrainingLoop.take_step, {2, 3}

    def taken(self: TrainingLoop) -> Any:
        reported, means = take(self)
        return {**reported, "loss": 50.0 if self.state.global_step in bad else reported["loss"]}, means

    monkeypatch.setattr(TrainingLoop, "take_step", taken)
    assert LoRATrainer(home.create_run()).train(tiny_config)["state"] == "finished"
    bad |= {4}
    problem = LoRATrainer(home.create_run()).train(tiny_config)["problem"]
    assert (problem["code"], problem["params"]["step"]) == (Code.LOSS_EXPLODED, 4)
    assert problem["change"] == {"learning_rate": 2e-3}
