from pathlib import Path

import pytest

pytestmark = pytest.mark.tiny


def test_answers_are_the_same_each_time_and_leave_the_model_in_its_mode(tiny_model: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from trainer.samples import answer_prompts
    from trainer.template import ChatTemplate

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(target_modules=["q_proj"]))
    template = ChatTemplate(AutoTokenizer.from_pretrained(tiny_model), "tiny")
    model.train()
    first, again = (list(answer_prompts(model, template, ["Hi", "你好"], 8)) for _ in range(2))
    assert first == again
    assert [prompt for prompt, _ in first] == ["Hi", "你好"]
    assert model.training
