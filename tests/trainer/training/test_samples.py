from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Sampled, Step, read_events
from interfaces.folders import Home, RunFolder

pytestmark = pytest.mark.tiny


def test_samples_are_deterministic_and_preserve_model_mode(tiny_model: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from trainer.tokens.template import ChatTemplate
    from trainer.training.samples import answer_prompts

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(target_modules=["q_proj"]))
    template = ChatTemplate(AutoTokenizer.from_pretrained(tiny_model), "tiny")
    model.train()
    first, again = (list(answer_prompts(model, template, ["Hi", "你好"], 8)) for _ in range(2))
    assert first == again
    assert [prompt for prompt, _ in first] == ["Hi", "你好"]
    assert model.training


def test_samples_do_not_affect_training(home: Home, tiny_config: dict[str, Any]) -> None:
    from trainer.lora_trainer import LoRATrainer

    config = {
        **tiny_config, "validation_split": 0.25, "eval_steps": 2, "sample_prompts": ["Say 1.", "Say 2."], "sample_max_new_tokens": 6,
        "lora": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1},
    }  # fmt: skip

    def trained(**settings: Any) -> RunFolder:
        folder = home.create_run()
        assert LoRATrainer(folder).train({**config, **settings})["state"] == "finished"
        return folder

    def answered(folder: RunFolder) -> list[int]:
        return [event.step for event in read_events(folder.events) if isinstance(event, Sampled)]

    def losses(folder: RunFolder) -> list[float]:
        return [event.loss for event in read_events(folder.events) if isinstance(event, Step)]

    on_the_way, before_and_after = trained(), trained(sample_while_training=False)
    assert answered(on_the_way) == [0, 0, 2, 2, 4, 4, 6, 6]
    assert answered(before_and_after) == [0, 0, 6, 6]
    seen = read_events(before_and_after.events)
    first = next(number for number, event in enumerate(seen) if isinstance(event, Sampled))
    assert any(isinstance(event, Step) for event in seen[:first]), "the base answers delay no first step"
    assert losses(on_the_way) == losses(before_and_after)
    weights = [(folder.adapter / "adapter_model.safetensors").read_bytes() for folder in (on_the_way, before_and_after)]
    assert weights[0] == weights[1]


def test_base_answers_are_the_same_before_and_during_training(home: Home, tiny_config: dict[str, Any]) -> None:
    """With the adapter switched off, the base model answers, whatever has been trained."""
    from trainer.lora_trainer import LoRATrainer

    def base_answers(**settings: Any) -> list[str]:
        folder = home.create_run()
        config = {**tiny_config, "sample_prompts": ["Say 1.", "你好"], "sample_max_new_tokens": 12, **settings}
        assert LoRATrainer(folder).train(config)["state"] == "finished"
        return [event.answer for event in read_events(folder.events) if isinstance(event, Sampled) and event.step == 0]

    at_the_end = base_answers()
    assert len(at_the_end) == 2
    assert at_the_end == base_answers(validation_split=0.25, eval_steps=1)
    assert at_the_end == base_answers(validation_split=0.25, eval_steps=3, lora={"r": 4, "use_dora": True})


def test_run_from_adapter_starts_with_that_adapters_answers(home: Home, tiny_config: dict[str, Any]) -> None:
    from trainer.lora_trainer import LoRATrainer

    def answers(step_zero: bool, **settings: Any) -> tuple[RunFolder, list[str]]:
        folder = home.create_run()
        config = {**tiny_config, "num_train_epochs": 10, "sample_prompts": ["Say 3."], "sample_max_new_tokens": 12}
        assert LoRATrainer(folder).train({**config, **settings})["state"] == "finished"
        sampled = [event for event in read_events(folder.events) if isinstance(event, Sampled)]
        return folder, [event.answer for event in sampled if (event.step == 0) is step_zero]

    first, tuned = answers(step_zero=False)
    _, begun_with = answers(step_zero=True, adapter_name_or_path=str(first.adapter), num_train_epochs=1)
    assert begun_with == tuned
