"""Loads a model's tokenizer with its chat template, without the weights."""

from __future__ import annotations

import logging
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from interfaces.disk import is_of_the_disk
from interfaces.errors import FineTuneError
from interfaces.files import read_json
from interfaces.problems import Code
from trainer.models.model_files import ModelFiles
from trainer.tokens.template import ChatTemplate

log = logging.getLogger(__name__)


def load_template(files: ModelFiles, model_name: str) -> ChatTemplate:
    """Load the tokenizer with its chat template. It must be a fast tokenizer, for its character offsets.

    Raises:
        FineTuneError: the tokenizer can't be loaded, or has no chat template.
    """
    tokenizer = _load(files, model_name)
    if not tokenizer.is_fast:
        reason = "no_fast_tokenizer"
        raise FineTuneError.of(Code.TOKENIZER_UNUSABLE, model=model_name, reason=reason)
    named = tokenizer.chat_template
    if not named or (isinstance(named, dict) and "default" not in named):
        raise FineTuneError.of(Code.NO_CHAT_TEMPLATE, model=model_name)
    _split_as_the_file_says(tokenizer, files)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return ChatTemplate(tokenizer, model_name, _end_ids(files))


def _load(files: ModelFiles, model_name: str) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(files.path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # damaged files can raise anything
        if is_of_the_disk(error):
            raise
        log.exception("The tokenizer can't be read")
        reason = "tokenizer_unreadable"
        raise FineTuneError.of(Code.TOKENIZER_UNUSABLE, model=model_name, reason=reason) from error


def _split_as_the_file_says(tokenizer: PreTrainedTokenizerBase, files: ModelFiles) -> None:
    """Undo a change by transformers 5 to the pre-tokenizer of some models (transformers#45920).

    For Qwen model types and classes, it overrides tokenizer.json, with which the model was trained, with Qwen's own.
    """
    place = files.path / "tokenizer.json"
    if not place.is_file():
        return
    own, made = Tokenizer.from_file(str(place)), tokenizer.backend_tokenizer
    for part in ("normalizer", "pre_tokenizer"):
        states = [one and one.__getstate__() for one in (getattr(own, part), getattr(made, part))]
        if states[0] != states[1]:
            log.warning("The tokenizer's %s is taken from tokenizer.json", part)
            setattr(made, part, getattr(own, part))


def _end_ids(files: ModelFiles) -> list[int]:
    """Return the ids that end generation, from the model's files."""
    found: Any = None
    for name in ("generation_config.json", "config.json"):  # the files that `generate` uses, in this order
        if found is None:
            found = (read_json(files.path / name) or {}).get("eos_token_id")
    return [token for token in (found if isinstance(found, list) else [found]) if isinstance(token, int)]
