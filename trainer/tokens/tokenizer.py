"""A model's tokenizer with its chat template, and nothing of its weights."""

from __future__ import annotations

import logging
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from interfaces.disk import is_of_the_disk
from interfaces.errors import FineTuneError
from interfaces.files import read_json
from interfaces.problems import Code
from trainer.models.model_files import ModelFiles
from trainer.tokens.template import ChatTemplate


def load_template(files: ModelFiles, model_name: str) -> ChatTemplate:
    """The tokenizer, which must be a fast one (positions of characters are needed), with its chat template.

    Raises:
        FineTuneError: it can't be loaded, or has no chat template.
    """
    tokenizer = _load(files, model_name)
    if not tokenizer.is_fast:
        reason = "it has no fast tokenizer (tokenizer.json)"
        raise FineTuneError.of(Code.TOKENIZER_UNUSABLE, model=model_name, reason=reason)
    if not tokenizer.chat_template:
        raise FineTuneError.of(Code.NO_CHAT_TEMPLATE, model=model_name)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return ChatTemplate(tokenizer, model_name, _end_ids(files))


def _load(files: ModelFiles, model_name: str) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(files.path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # damaged files end in whatever their reader raises
        if is_of_the_disk(error):
            raise
        logging.exception("The tokenizer can't be read")
        reason = "its files can't be read; tokenizer.json is missing or damaged"
        raise FineTuneError.of(Code.TOKENIZER_UNUSABLE, model=model_name, reason=reason) from error


def _end_ids(files: ModelFiles) -> list[int]:
    """The ids that end a generation, as the model's own files say."""
    found: Any = (read_json(files.path / "generation_config.json") or {}).get("eos_token_id")
    return [token for token in (found if isinstance(found, list) else [found]) if isinstance(token, int)]
