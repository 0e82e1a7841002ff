import importlib.util

import pytest

from studio.models.known_types import causal_model_types


def test_the_types_are_those_of_the_installed_transformers() -> None:
    assert {"qwen2", "qwen3", "llama", "gemma3", "mistral", "phi3"} <= causal_model_types()
    assert not {"t5", "chatglm"} & causal_model_types()


def test_without_transformers_nothing_is_known_and_nothing_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert causal_model_types.__wrapped__() == frozenset()
