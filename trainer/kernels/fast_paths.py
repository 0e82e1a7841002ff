"""Fast paths for the base model in training: flat batches, and the head only at trained positions.

Both change the model's computation, so each must pass a trial: on a few random tokens it must give the same result as
the model's own code. An architecture that fails trains with its own code instead, with a warning that gives the reason.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.utils import is_flash_attn_2_available

from interfaces.problems import Code, Problem
from interfaces.run_records import Machine
from trainer.kernels.chunked_loss import changed_logits, use_chunked_loss
from trainer.kernels.flat_attention import FLAT
from trainer.kernels.passed_trials import PassedTrials
from trainer.tokens.batches import flat_batch

log = logging.getLogger(__name__)
FLASH = "flash_attention_2"
TRIAL_LENGTHS = (5, 9, 3)
LEAK_LENGTHS = (37, 130, 61, 300)
"""Row lengths for the leak test, below and above the lengths at which attention switches its kernel."""
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


@dataclass(frozen=True)
class FastPaths:
    """The result of the trials: 'flat' or 'padded' batches, logits at 'trained' or 'all' positions."""

    batches: str
    logits: str
    warnings: tuple[Problem, ...] = ()


def use_fast_paths(
    model: PreTrainedModel, model_name: str, recorded: Machine | None = None, cache: Path | None = None
) -> FastPaths:
    """Enable the fast paths that don't change a newly loaded model's results. Call this before PEFT wraps the model.

    `recorded` are the fast paths of an earlier attempt of the same run. What it didn't use, stays off.
    `cache` is the folder of the trials that were passed before, which aren't repeated.
    """
    passed = PassedTrials(model, cache)
    was_training, attention = model.training, model.config._attn_implementation
    batches, logits = "padded", "all"
    warnings = []
    model.eval()
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        if recorded is None or recorded.batches != "padded":
            refusal = _try(lambda: _take_flat_attention(model, passed))
            if refusal:
                model.set_attn_implementation(attention)
                warnings.append(Problem.warning(Code.FLAT_BATCHES_REFUSED, model=model_name, **refusal))
            batches = "padded" if refusal else "flat"
        if recorded is None or recorded.logits != "all":
            refusal = _try(lambda: _take_chunked_loss(model, passed))
            if refusal:
                vars(model).pop("forward", None)
                warnings.append(Problem.warning(Code.CHUNKED_LOSS_REFUSED, model=model_name, **refusal))
            logits = "all" if refusal else "trained"
    model.train(was_training)
    return FastPaths(batches, logits, tuple(warnings))


def _try(trial: Callable[[], str]) -> dict[str, str]:
    """Return the `reason` from `trial` or its error, and the setting `seen` if the error names one; empty on success."""
    try:
        reason = trial()
        return {"reason": reason} if reason else {}
    except Exception as error:
        log.info("A fast-path trial failed", exc_info=True)
        if isinstance(error, ValueError) and len(error.args) == 2:
            return {"reason": str(error.args[0]), "seen": str(error.args[1])}
        return {"reason": (str(error).strip().splitlines() or [type(error).__name__])[0][:200]}


def _take_flat_attention(model: PreTrainedModel, passed: PassedTrials) -> str:
    """Try flat attention. Concatenated sequences must give the same result as each one alone."""
    flash = model.device.type == "cuda" and is_flash_attn_2_available()
    if (known := passed.get("attention")) == FLAT or (known == FLASH and flash):
        model.set_attn_implementation(known)
        return ""
    # A short trial can't detect an attention window or chunk that only the mask defines, and not the layer.
    if not model._supports_flash_attn:
        return "attention_needs_mask"
    sequences = _random_sequences(model)
    alone = torch.cat([_own_logits(model, input_ids=sequence[None])[0] for sequence in sequences])
    batch = flat_batch([{"input_ids": sequence.tolist(), "labels": sequence.tolist()} for sequence in sequences])
    inputs = {key: _placed(value, model) for key, value in batch.items() if key != "labels"}

    def trial(attention: str) -> str:
        model.set_attn_implementation(attention)
        if model.config._attn_implementation != attention:
            return "attention_fixed"
        if not _same(alone, _own_logits(model, **inputs)[0]):
            return "sequences_mix"
        if _leaks(model):
            return "sequences_mix_little"
        passed.add("attention", attention)
        return ""

    if flash and not _try(lambda: trial(FLASH)):
        return ""
    return trial(FLAT)


def _leaks(model: PreTrainedModel) -> bool:
    """Return whether the first of several sequences affects the others. They must stay equal to the last bit.

    The exception is mixture-of-experts layers, whose products are grouped by routing and so round differently.
    """
    longest = getattr(model.config, "max_position_embeddings", None) or max(LEAK_LENGTHS)
    sequences = _random_sequences(model, tuple(min(length, longest) for length in LEAK_LENGTHS))
    vocabulary = model.get_input_embeddings().weight.shape[0]
    batches = [sequences, [(sequences[0] + 1) % vocabulary, *sequences[1:]]]
    before, after = (_hidden(model, batch)[len(sequences[0]) :] for batch in batches)
    if any(getattr(model.config, name, None) for name in EXPERTS):
        return not _same(before, after, 1e-5 if before.dtype == torch.float32 else 1e-2)
    return not torch.equal(before, after)


def _hidden(model: PreTrainedModel, sequences: list[torch.Tensor]) -> torch.Tensor:
    """Return the last hidden states of concatenated sequences (tokens, size)."""
    batch = flat_batch([{"input_ids": sequence.tolist(), "labels": sequence.tolist()} for sequence in sequences])
    inputs = {key: _placed(value, model) for key, value in batch.items() if key != "labels"}
    with _without_outliers(model):
        hidden: torch.Tensor = model.get_decoder()(use_cache=False, **inputs).last_hidden_state[0]
    return hidden


@contextlib.contextmanager
def _without_outliers(model: PreTrainedModel) -> Iterator[None]:
    """Disable the outliers of LLM.int8, which are chosen across the whole batch and would look like a leak."""
    states = [module.state for module in model.modules() if type(module).__name__ == "Linear8bitLt"]
    thresholds = [state.threshold for state in states]
    try:
        for state in states:
            state.threshold = 0.0
        yield
    finally:
        for state, threshold in zip(states, thresholds, strict=True):
            state.threshold = threshold


def _take_chunked_loss(model: PreTrainedModel, passed: PassedTrials) -> str:
    """Try the chunked loss. The head times the hidden state must equal the model's logits."""
    if passed.get("loss"):
        use_chunked_loss(model)
        return ""
    if changed := changed_logits(model):
        raise ValueError("own_logits", changed)
    if getattr(model.config, "output_router_logits", False):
        return "expert_balance"
    sequence = _random_sequences(model)[1][None]
    logits = _own_logits(model, input_ids=sequence)
    head, body = model.get_output_embeddings(), model.get_decoder()
    if head is None or body is model:
        return "head_unknown"
    hidden = body(input_ids=sequence, use_cache=False).last_hidden_state
    if not _same(logits, head(hidden)):
        return "logits_changed"
    own = torch.nn.functional.cross_entropy(logits[0, :-1].float(), sequence[0, 1:])
    use_chunked_loss(model)
    ours = model(input_ids=sequence, labels=sequence).loss
    if not torch.allclose(own, ours, rtol=_tolerance(logits)):
        return "loss_differs"
    passed.add("loss", "chunked")
    return ""


def _random_sequences(model: PreTrainedModel, lengths: tuple[int, ...] = TRIAL_LENGTHS) -> list[torch.Tensor]:
    vocabulary = model.get_input_embeddings().weight.shape[0]
    return [torch.randint(vocabulary, (length,), device=model.device) for length in lengths]


def _own_logits(model: PreTrainedModel, **inputs: Any) -> torch.Tensor:
    logits: torch.Tensor = type(model).forward(model, use_cache=False, **inputs).logits
    return logits


def _placed(value: Any, model: PreTrainedModel) -> Any:
    return value.to(model.device) if isinstance(value, torch.Tensor) else value


def _same(expected: torch.Tensor, seen: torch.Tensor, tolerance: float | None = None) -> bool:
    """Return whether two tensors are equal up to rounding."""
    difference = (expected.float() - seen.float()).norm() / expected.float().norm()
    return bool(difference <= (_tolerance(expected) if tolerance is None else tolerance))


def _tolerance(logits: torch.Tensor) -> float:
    return 1e-3 if logits.dtype == torch.float32 else 5e-2
