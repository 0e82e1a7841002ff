"""A GGUF file splits texts into the same tokens as the tokenizer that the model was trained with."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from tests.support.tiny_families import SENTENCEPIECE, served, tiny_family, written

pytestmark = pytest.mark.tiny


@pytest.mark.parametrize("split", ["gpt-2", "smollm", "qwen2", "llama-bpe", "tekken", *SENTENCEPIECE])
def test_texts_have_the_same_tokens(tmp_path: Path, split: str) -> None:
    from transformers import AutoTokenizer

    base = tiny_family(tmp_path / "base", "llama", split)
    written(base, tmp_path, "q8_0")
    tokenizer, server = AutoTokenizer.from_pretrained(base), served(tmp_path / "tiny.gguf")
    parts = [
        "It's 2026, isn't it?",
        " 12345 x  y",
        "灯笼与月亮",
        "if (a<b) {\n\treturn a;\n}",
        "\n\n",
        "ÄÖ ß 😀",
        "<|im_start|>user\n",
        "_x__1",
        "naïve café: 1,234.5%",
    ]
    texts = [
        f"{one}{space}{other}{number}"
        for one in parts
        for other in parts
        for number, space in enumerate(("", " ", "\n"))
    ]
    assert len(texts) >= 200
    if split == "mistral":  # as in a conversation: only the very first text gets a space
        texts = [f"<|im_start|>{text}" for text in texts]
    for text in texts:
        body = json.dumps({"content": text, "add_special": False, "parse_special": True}).encode()
        asked = urllib.request.Request(
            f"{server.listening_address}/tokenize", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            seen = json.load(answer)["tokens"]
        assert seen == tokenizer(text, add_special_tokens=False)["input_ids"], text
