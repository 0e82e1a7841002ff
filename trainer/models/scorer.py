"""Makes a reward model of a base model: its layers, with a head that gives each sequence one score."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from interfaces.errors import FineTuneError
from interfaces.problems import Code

HEAD = "score"
"""The head's name in all decoders of transformers."""
_OF_QUANTIZATION = ("hf_quantizer", "is_quantized", "is_loaded_in_8bit", "is_loaded_in_4bit", "quantization_method")


def scorer_of(base: PreTrainedModel, model_name: str, seed: int) -> PreTrainedModel:
    """Return a sequence classifier with one label that shares the layers of a base model.

    Its head is new, in 32 bits. It scores each sequence of a flat batch, or of one padded on the right, at the
    sequence's last token: `logits` (sequences, 1), as transformers does for one sequence.

    Raises:
        FineTuneError: transformers has no such classifier for this architecture.
    """
    base.config.num_labels = 1
    prefix = base.base_model_prefix
    try:
        with torch.device("meta"):  # its layers are replaced
            made = AutoModelForSequenceClassification.from_config(base.config)
    except ValueError as error:
        raise FineTuneError.of(Code.MODEL_UNSUPPORTED, model=model_name, reason="no_scores") from error
    head = getattr(made, HEAD, None)
    if type(getattr(made, prefix, None)) is not type(getattr(base, prefix)) or not isinstance(head, torch.nn.Linear):
        raise FineTuneError.of(Code.MODEL_UNSUPPORTED, model=model_name, reason="no_scores")
    setattr(made, prefix, getattr(base, prefix))
    for name in _OF_QUANTIZATION:
        if hasattr(base, name):
            setattr(made, name, getattr(base, name))
    setattr(made, HEAD, _new_head(base, head.in_features, seed))
    made.forward = _scoring(made)
    return made.train(base.training)


def _new_head(base: PreTrainedModel, inputs: int, seed: int) -> torch.nn.Linear:
    """Return a head whose weights depend on the seed alone, of the size that transformers gives a new layer."""
    sizes = base.config.get_text_config()
    head = torch.nn.Linear(inputs, 1, bias=False, dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    torch.nn.init.normal_(head.weight, std=getattr(sizes, "initializer_range", 0.02), generator=generator)
    return head.to(base.device)


def _scoring(model: Any) -> Any:
    def forward(
        input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, sequence_lengths: list[int] | None = None,
        **more: Any,
    ) -> SimpleNamespace:  # fmt: skip
        read = {name: value for name, value in more.items() if value is not None}
        read |= {} if sequence_lengths is None else {"sequence_lengths": sequence_lengths}
        hidden = model.base_model(
            input_ids=input_ids, attention_mask=attention_mask, **{**read, "use_cache": False}
        ).last_hidden_state
        last = _ends(hidden, attention_mask, sequence_lengths)
        with torch.autocast(last.device.type, enabled=False):  # in 16 bits, scores would be rounded
            return SimpleNamespace(logits=model.score(last.float()))

    return forward


def _ends(
    hidden: torch.Tensor, attention_mask: torch.Tensor | None, sequence_lengths: list[int] | None
) -> torch.Tensor:
    """Return the hidden state of each sequence's last token (sequences, size)."""
    if sequence_lengths is not None:
        return hidden[0, torch.tensor(sequence_lengths, device=hidden.device).cumsum(0) - 1]
    if attention_mask is None:
        return hidden[:, -1]
    return hidden[torch.arange(len(hidden), device=hidden.device), attention_mask.sum(dim=1) - 1]
