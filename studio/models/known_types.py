"""The causal language model types of the installed transformers, read from its own list without importing it."""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path

_LIST = re.compile(r"^MODEL_FOR_CAUSAL_LM_MAPPING_NAMES\b.*?^\)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r'\(\s*"([\w-]+)"\s*,')


@functools.cache
def causal_model_types() -> frozenset[str]:
    """Return every `model_type` that `AutoModelForCausalLM` supports, or an empty set if the list can't be found."""
    spec = importlib.util.find_spec("transformers")
    places = list(spec.submodule_search_locations or []) if spec else []
    try:
        text = (Path(places[0]) / "models" / "auto" / "modeling_auto.py").read_text(encoding="utf-8")
    except (IndexError, OSError):
        return frozenset()
    found = _LIST.search(text)
    return frozenset(_ENTRY.findall(found[0])) if found else frozenset()
