"""Answers sample prompts with the current model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    PreTrainedModel,
    StoppingCriteriaList,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from interfaces.chats import Sampling
from interfaces.config import FineTuneConfig, method_of
from interfaces.events import Sampled
from trainer.evaluation.generation import Leaving, causal_model, generation_settings
from trainer.tokens.template import ChatTemplate
from trainer.training.attempt import AttemptContext


def tell_answers(attempt: AttemptContext, model: PreTrainedModel, template: ChatTemplate, step: int) -> bool:
    """Answer the sample prompts and log the answers. Return False if a stop leaves some prompts unanswered."""
    return _tell(attempt, model, template, _prompts(attempt.config), step)


def tell_first_answers(attempt: AttemptContext, model: PreTrainedModel, template: ChatTemplate) -> bool:
    """Log the base model's answers as those of step 0, unless they are logged already.

    The adapter is switched off for them, so they needn't delay the first step: they are taken at the first evaluation,
    or at the end. A whole model has answered before its first step. Return False if a stop leaves some prompts
    unanswered.
    """
    if not isinstance(model, PeftModel):
        return True
    answered = {event.prompt for event in attempt.history.refresh().samples if event.step == 0}
    prompts = [prompt for prompt in _prompts(attempt.config) if prompt not in answered]
    if not prompts:
        return True
    with model.disable_adapter():
        return _tell(attempt, model, template, prompts, step=0)


def _prompts(config: FineTuneConfig) -> list[str]:
    """Return the prompts to answer: none, if the model only scores answers."""
    return config.sample_prompts if method_of(config).generates else []


def _tell(
    attempt: AttemptContext, model: PreTrainedModel, template: ChatTemplate, prompts: list[str], step: int
) -> bool:
    config, log, stop = attempt.config, attempt.log, attempt.stop
    if prompts:
        log.phase("sample", 0, len(prompts), "prompts")
    answers = answer_prompts(model, template, prompts, config.sample_max_new_tokens, lambda: stop.mode is not None)
    done = 0
    for done, (prompt, answer) in enumerate(answers, start=1):
        log.append(Sampled(step=step, prompt=prompt, answer=answer))
        log.phase("sample", done, len(prompts), "prompts")
    return done == len(prompts)


class Sampler(TrainerCallback):
    """Answers the sample prompts at each evaluation except after the last step, when the result answers them.

    The first one also takes the base model's answers.
    """

    def __init__(self, attempt: AttemptContext, model: PreTrainedModel, template: ChatTemplate) -> None:
        self._attempt, self._model, self._template = attempt, model, template

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        config = self._attempt.config
        if not _prompts(config) or state.global_step >= state.max_steps:
            return
        # Fork the RNG, so that samples don't affect training.
        with torch.random.fork_rng():
            tell_first_answers(self._attempt, self._model, self._template)
            if config.sample_while_training:
                tell_answers(self._attempt, self._model, self._template, state.global_step)
        self._attempt.log.phase("train")


def answer_prompts(
    model: PreTrainedModel, template: ChatTemplate, prompts: list[str], max_new_tokens: int,
    leave: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """Yield (prompt, greedy answer), one prompt at a time, because padding would change the results slightly.

    `leave` is called after each token. Once it returns True, the remaining prompts are skipped.
    """
    settings = generation_settings(causal_model(model), template, Sampling(max_new_tokens=max_new_tokens))
    leaving = StoppingCriteriaList([Leaving(leave)])
    was_training = model.training
    model.eval()
    try:
        for prompt in prompts:
            ids = torch.tensor([template.prompt_ids(prompt)], device=next(model.parameters()).device)
            with torch.inference_mode():
                output = model.generate(
                    input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings,
                    stopping_criteria=leaving,
                )  # fmt: skip
            if leave():
                return
            yield prompt, template.tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True).strip()
    finally:
        model.train(was_training)
