"""Writes what a run has learned: an adapter that PEFT loads, or a whole model that transformers loads."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from interfaces.config import FineTuneConfig
from interfaces.files import publish
from trainer.artifacts.export import CARD, TOKENIZER_FILES
from trainer.artifacts.merged_folder import SHARD_BYTES, write_settings
from trainer.artifacts.model_card import CURVE, CardFacts, model_card
from trainer.artifacts.stored_weights import base_reference
from trainer.models.model_files import ModelFiles


class WholeModel:
    """All weights of a model in training, as a folder: shards of safetensors, its base's settings, and the tokenizer."""

    def __init__(
        self, model: PreTrainedModel, base: ModelFiles, tokenizer: PreTrainedTokenizerBase, ends: Sequence[int]
    ) -> None:
        """`ends` are the tokens that end an answer, the one that is trained on first."""
        self.model, self._base, self._tokenizer, self._ends = model, base, tokenizer, list(ends)

    def write(self, folder: Path, weights: Mapping[str, torch.Tensor] | None = None) -> None:
        """Write the model into a folder, with these weights instead of its own, which may be in another format."""
        state = dict(weights or self.model.state_dict())
        dtype = next(iter(state.values())).dtype
        self.model.save_pretrained(folder, state_dict=state, max_shard_size=SHARD_BYTES)
        # The settings of the training, such as the cache that is off, don't belong to the model.
        write_settings(folder, self._base.path, dtype, self._ends)
        _save_tokenizer(self._tokenizer, self._base, folder)

    def read(self, folder: Path, dtype: torch.dtype) -> PreTrainedModel:
        """Load the model that `write` has written."""
        read: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
        return read


def save_adapter(
    model: PeftModel, tokenizer: PreTrainedTokenizerBase, files: ModelFiles, folder: Path, config: FineTuneConfig,
    facts: CardFacts, weights: Mapping[str, torch.Tensor] | None = None,
) -> None:  # fmt: skip
    """Save adapter, tokenizer, and model card to `folder` atomically, replacing what is there.

    With `weights` instead of the adapter's own.
    """

    def write(staging: Path) -> None:
        model.peft_config["default"].base_model_name_or_path = base_reference(facts.base)
        model.save_pretrained(staging, safe_serialization=True, save_embedding_layers=False, state_dict=weights)
        _save_tokenizer(tokenizer, files, staging)

    _save(write, folder, config, facts)


def save_model(model: WholeModel, folder: Path, config: FineTuneConfig, facts: CardFacts) -> None:
    """Save model, tokenizer, and model card to `folder` atomically, replacing what is there."""
    _save(model.write, folder, config, facts)


def _save(write: Callable[[Path], None], folder: Path, config: FineTuneConfig, facts: CardFacts) -> None:
    staging = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(staging, ignore_errors=True)
    write(staging)
    (staging / CARD).write_text(model_card(config, facts), encoding="utf-8")
    if facts.curve:
        (staging / CURVE).write_text(facts.curve, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)  # from an attempt that was stopped
    publish(staging, folder)


def _save_tokenizer(tokenizer: PreTrainedTokenizerBase, files: ModelFiles, folder: Path) -> None:
    """Copy the base's tokenizer files unchanged.

    Training doesn't change the tokenizer, and older versions can't read what transformers 5 writes.
    """
    own = [files.path / name for name in TOKENIZER_FILES if (files.path / name).is_file()]
    if not any(path.name in ("tokenizer.json", "tokenizer.model") for path in own):
        tokenizer.save_pretrained(folder)
    for path in own:
        shutil.copyfile(path, folder / path.name)
