"""Sample prompts, answered by the model as it stands."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from peft import PeftModel
from transformers import GenerationConfig

from trainer.template import ChatTemplate


def answer_prompts(
    model: PeftModel, template: ChatTemplate, prompts: list[str], max_new_tokens: int
) -> Iterator[tuple[str, str]]:
    """(prompt, greedy answer) for each prompt, one at a time: padding would change the numbers a little."""
    tokenizer = template.tokenizer
    settings = GenerationConfig(
        max_new_tokens=max_new_tokens, do_sample=False, use_cache=True,
        eos_token_id=_end_ids(model, template), pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    was_training = model.training
    model.eval()
    try:
        for prompt in prompts:
            ids = torch.tensor([template.prompt_ids(prompt)], device=next(model.parameters()).device)
            with torch.inference_mode():
                output = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings)
            yield prompt, tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True).strip()
    finally:
        model.train(was_training)


def _end_ids(model: PeftModel, template: ChatTemplate) -> list[int]:
    """All that ends an answer: the model's own end tokens and the tokenizer's."""
    own = model.get_base_model().generation_config.eos_token_id
    ids = set(own if isinstance(own, list) else [own]) | {template.tokenizer.eos_token_id}
    return sorted(token for token in ids if token is not None)
