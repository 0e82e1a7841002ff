"""Answers token by token, as transformers' `generate` computes them, for a model and its adapters.

Several answers are generated side by side over one model in memory: each runs `generate` in a greenlet of its own, and
they take turns, each with its own adapter and its own random numbers. In threads, each with its own pool for matrix
products, a token took a half longer (measured).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from greenlet import greenlet
from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from interfaces.chats import Sampling
from trainer.evaluation.answer_file import Answer
from trainer.tokens.template import ChatTemplate

SHARE_SECONDS = 0.15
"""How long one answer computes before the next one does; switching adapters takes about 2 ms."""
UNFINISHED_CHARACTER = "\ufffd"


def end_ids(model: torch.nn.Module, template: ChatTemplate) -> list[int]:
    """Return all ids that end an answer: the model's, the tokenizer's, and the end token that is trained on."""
    own = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ids = set(own if isinstance(own, list) else [own]) | {template.tokenizer.eos_token_id, template.end_id}
    return sorted(token for token in ids if token is not None)


def causal_model(model: torch.nn.Module) -> PreTrainedModel:
    """Return the model itself, or the one that adapters are added to."""
    found: PreTrainedModel = model.get_base_model() if isinstance(model, PeftModel) else model
    return found


def generation_settings(model: torch.nn.Module, template: ChatTemplate, sampling: Sampling) -> GenerationConfig:
    """Return the settings for `generate`. What they leave open is the model's own, such as a repetition penalty."""
    greedy = sampling.temperature == 0
    chosen = {} if greedy else {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    return GenerationConfig(
        max_new_tokens=sampling.max_new_tokens, do_sample=not greedy, num_beams=1, use_cache=True,
        eos_token_id=end_ids(model, template), pad_token_id=template.tokenizer.pad_token_id, **chosen,
    )  # fmt: skip


def generate_side_by_side(
    model: PeftModel, template: ChatTemplate, answers: Sequence[Answer], sampling: Sampling,
    leave: Callable[[], bool] = lambda: False,
) -> None:  # fmt: skip
    """Generate several answers, in turns. An error ends only its own answer, as `Answer.error`.

    `leave` is called at each token; once it returns True, the answers end as they are.
    """
    shares = _Shares(len(answers), next(model.parameters()).device)
    waiting = deque(greenlet(partial(_generate, model, template, one, sampling, leave, shares)) for one in answers)
    with torch.inference_mode():  # around them all: it belongs to the thread
        while waiting:
            turn = waiting.popleft()
            shares.begin()
            turn.switch()
            if turn.dead:
                shares.count -= 1
            else:
                waiting.append(turn)


def _generate(
    model: PeftModel, template: ChatTemplate, answer: Answer, sampling: Sampling, leave: Callable[[], bool],
    shares: _Shares,
) -> None:  # fmt: skip
    torch.manual_seed(sampling.seed)
    limit = sampling.max_new_tokens if answer.most is None else min(sampling.max_new_tokens, answer.most)
    asked = sampling.model_copy(update={"max_new_tokens": limit})
    settings = generation_settings(causal_model(model), template, asked)
    streamer = _Streamer(template, answer, lambda: shares.hand_over(lambda: _use(model, answer.adapter)))
    with answer.timed():
        _use(model, answer.adapter)
        ids = torch.tensor([answer.ids], device=next(model.parameters()).device)
        model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings, streamer=streamer,
            stopping_criteria=StoppingCriteriaList([Leaving(leave)]),
        )  # fmt: skip
        complete = streamer.last in settings.eos_token_id
        answer.end = "complete" if complete else "length" if answer.tokens >= limit else "stopped"


def _use(model: PeftModel, adapter: str | None) -> None:
    """Compute with this adapter from now on, or with the base model alone."""
    if adapter is None:
        model.base_model.disable_adapter_layers()
        return
    model.base_model.enable_adapter_layers()
    model.set_adapter(adapter, inference_mode=True)


class _Shares:
    """Whose time it is: `count` answers aren't complete, and the current one has computed since `begin`."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.count, self._device = count, device
        self._since = 0.0

    def begin(self) -> None:
        self._since = time.monotonic()

    def hand_over(self, resume: Callable[[], None]) -> None:
        """Let the others compute, if this answer has had its time and there are others; then call `resume`."""
        if self.count < 2 or time.monotonic() - self._since < SHARE_SECONDS:
            return
        state = torch.get_rng_state()
        card = torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None
        parent = greenlet.getcurrent().parent
        assert parent is not None
        parent.switch()
        torch.set_rng_state(state)
        if card is not None:
            torch.cuda.set_rng_state(card, self._device)
        resume()


class _Streamer(BaseStreamer):
    """Turns tokens into text. `generate` gives it the prompt first, then each token."""

    def __init__(self, template: ChatTemplate, answer: Answer, share: Callable[[], None]) -> None:
        self._tokenizer, self._answer, self._share = template.tokenizer, answer, share
        self._ids: list[int] = []
        self._told = self._before = 0
        self._prompt_seen = False

    @property
    def last(self) -> int | None:
        return self._ids[-1] if self._ids else None

    def put(self, value: torch.Tensor) -> None:
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        self._ids += value.flatten().tolist()
        self._answer.count(len(self._ids))
        self._tell()
        self._share()

    def end(self) -> None:
        self._tell(last=True)

    def _tell(self, last: bool = False) -> None:
        """Tell the text of the tokens since the last time, unless their last character isn't complete.

        They are decoded with those told before, because some tokenizers drop a space at the beginning of a text.
        """
        known, text = (
            self._tokenizer.decode(self._ids[self._before : end], skip_special_tokens=True)
            for end in (self._told, len(self._ids))
        )
        if len(text) <= len(known) or (text.endswith(UNFINISHED_CHARACTER) and not last):
            return
        self._before, self._told = self._told, len(self._ids)
        self._answer.say(text[len(known) :])


class Leaving(StoppingCriteria):
    """Ends an answer that is no longer needed."""

    def __init__(self, leave: Callable[[], bool]) -> None:
        self._leave = leave

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: Any) -> torch.BoolTensor:
        return torch.full((input_ids.shape[0],), self._leave(), dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]
