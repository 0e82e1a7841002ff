"""Answers are those of transformers' own `generate`, also when several are generated in turns over one model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interfaces.chats import Sampling

pytestmark = pytest.mark.tiny
PROMPTS = ("What is a lantern?", "你好，请介绍一下自己。")
GREEDY = Sampling(max_new_tokens=20)
SAMPLED = Sampling(temperature=1.3, top_p=0.9, max_new_tokens=24, seed=7)


def model_with_adapters(folder: Path) -> tuple[Any, Any]:
    """A tiny model with two adapters that change its answers, and its template."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from trainer.tokens.template import ChatTemplate

    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    for seed, name in enumerate(("one", "two"), start=1):
        settings = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
        if name == "one":
            model = get_peft_model(model, settings, adapter_name=name)
        else:
            model.add_adapter(name, settings)
        torch.manual_seed(seed)
        for key, parameter in model.named_parameters():
            if f".{name}." in key:
                torch.nn.init.normal_(parameter, std=0.2)
    return model, ChatTemplate(AutoTokenizer.from_pretrained(folder), "tiny")


def own_ids(model: Any, template: Any, ids: list[int], adapter: str | None, **settings: Any) -> list[int]:
    """What transformers generates with this adapter: the new ids."""
    import torch

    from trainer.evaluation.generation import end_ids

    asked = torch.tensor([ids])
    ends = {"eos_token_id": end_ids(model.get_base_model(), template), "pad_token_id": template.tokenizer.pad_token_id}
    if adapter is not None:
        model.set_adapter(adapter)
    with torch.inference_mode(), model.disable_adapter() if adapter is None else torch.inference_mode():
        output = model.generate(input_ids=asked, attention_mask=torch.ones_like(asked), **ends, **settings)
    found: list[int] = output[0, len(ids) :].tolist()
    return found


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_answers_equal_those_of_transformers(tiny_model: Path, prompt: str, monkeypatch: Any) -> None:
    from trainer.evaluation import generation

    monkeypatch.setattr(generation, "SHARE_SECONDS", 0.0)  # they take turns after each token
    model, template = model_with_adapters(tiny_model)
    ids = template.prompt_ids(prompt)
    answers = [generation.Answer(ids, adapter) for adapter in (None, "one", "two")]
    generation.generate_side_by_side(model, template, answers, GREEDY)
    assert [answer.error for answer in answers] == [None] * 3
    expected = [
        own_ids(model, template, ids, adapter, max_new_tokens=20, do_sample=False) for adapter in (None, "one", "two")
    ]
    texts = [template.tokenizer.decode(found, skip_special_tokens=True) for found in expected]
    assert [answer.text for answer in answers] == texts
    assert [answer.tokens for answer in answers] == [len(found) for found in expected]
    assert len(set(texts)) == 3, "the adapters change nothing, so this test shows nothing"


def test_sampled_answers_depend_on_the_seed_and_not_on_who_else_answers(tiny_model: Path, monkeypatch: Any) -> None:
    from trainer.evaluation import generation

    monkeypatch.setattr(generation, "SHARE_SECONDS", 0.0)
    model, template = model_with_adapters(tiny_model)
    ids = template.prompt_ids(PROMPTS[0])

    def said(adapters: list[str | None], sampling: Sampling = SAMPLED) -> list[str]:
        answers = [generation.Answer(ids, adapter) for adapter in adapters]
        generation.generate_side_by_side(model, template, answers, sampling)
        return [answer.text for answer in answers]

    together = said([None, "one", "two"])
    assert together == [said([adapter])[0] for adapter in (None, "one", "two")]
    assert together != said([None, "one", "two"], SAMPLED.model_copy(update={"seed": 8}))


def test_text_is_told_in_whole_characters_as_it_comes(tiny_model: Path) -> None:
    from trainer.evaluation.generation import Answer, generate_side_by_side

    model, template = model_with_adapters(tiny_model)
    pieces: list[str] = []
    answer = Answer(template.prompt_ids("你好"), "one", tell=pieces.append)
    generate_side_by_side(model, template, [answer], Sampling(temperature=5, max_new_tokens=200, seed=3))
    assert "".join(pieces) == answer.text
    assert len(pieces) > 20
    assert answer.first_seconds is not None
    assert answer.seconds >= answer.first_seconds


def test_answer_ends_at_its_length_or_when_it_is_left(tiny_model: Path) -> None:
    from trainer.evaluation.generation import Answer, end_ids, generate_side_by_side

    model, template = model_with_adapters(tiny_model)
    ends = end_ids(model.get_base_model(), template)
    ids = template.prompt_ids("Hi")
    long, left = Answer(ids, "one"), Answer(ids, "one")
    generate_side_by_side(model, template, [long], GREEDY)
    generate_side_by_side(model, template, [left], Sampling(max_new_tokens=2000), lambda: left.tokens >= 5)
    assert (long.end, long.tokens) == ("length", 20)
    assert left.end == "stopped"
    assert left.tokens in (5, 6)
    model.get_base_model().generation_config.eos_token_id = own_ids(
        model, template, ids, "one", max_new_tokens=3, do_sample=False
    )[2]
    assert end_ids(model.get_base_model(), template) != ends
    complete = Answer(ids, "one")
    generate_side_by_side(model, template, [complete], GREEDY)
    assert (complete.end, complete.tokens) == ("complete", 3)


def test_error_ends_only_its_own_answer(tiny_model: Path) -> None:
    from trainer.evaluation.generation import Answer, generate_side_by_side

    model, template = model_with_adapters(tiny_model)
    ids = template.prompt_ids("Hi")
    good, bad = Answer(ids, "one"), Answer([10**6], None)
    generate_side_by_side(model, template, [bad, good], GREEDY)
    assert isinstance(bad.error, IndexError)
    assert (bad.end, good.end, good.error) == ("failed", "length", None)
