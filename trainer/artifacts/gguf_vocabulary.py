"""The vocabulary of a GGUF file: tokens, merges, special tokens, the chat template, and how texts are split.

llama.cpp splits a text by a rule that it knows by a name, `tokenizer.ggml.pre`. The name is found by comparing the rule
in tokenizer.json with those that llama.cpp has, since a wrong one gives other tokens without any error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf

from interfaces.errors import FineTuneError
from interfaces.files import read_json
from interfaces.problems import Code
from trainer.artifacts.merged_folder import ends_of
from trainer.tokens.template import ChatTemplate

_GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CASED = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]%s[\p{Ll}\p{Lm}\p{Lo}\p{M}]%s"
_TEKKEN = "|".join(
    [rf"[^\r\n\p{{L}}\p{{N}}]?{_CASED % ends}" for ends in (("*", "+"), ("+", "*"))]
    + [r"\p{N}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"]
)
_SPLITS = {_GPT4 % "": "qwen2", _GPT4 % "{1,3}": "llama-bpe", _TEKKEN: "tekken"}
"""Regular expressions in tokenizer.json, and llama.cpp's names of them."""


def add_vocabulary(writer: gguf.GGUFWriter, folder: Path, size: int, template: ChatTemplate) -> None:
    """Add the tokenizer in `folder` for a model with `size` rows of embeddings.

    Raises:
        FineTuneError: llama.cpp has no such tokenizer.
    """
    tokenizer: dict[str, Any] = dict(read_json(folder / "tokenizer.json") or {})
    model = tokenizer.get("model") or {}
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise _unsupported(str(model.get("type")) + (" with byte_fallback" if model.get("byte_fallback") else ""))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_split_of(tokenizer))
    tokens, types = _tokens(tokenizer, size)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    special = gguf.SpecialVocab(folder, load_merges=True, n_vocab=size)
    special.special_token_ids["eos"] = ends_of(template)[0]
    if template.prompt_ids("?")[:1] == [template.tokenizer.bos_token_id]:
        special.add_special_token["bos"] = False  # otherwise the prompt would begin with two
    special.add_to_gguf(writer, quiet=True)


def _split_of(tokenizer: dict[str, Any]) -> str:
    """Return llama.cpp's name of how a tokenizer.json splits texts.

    Raises:
        FineTuneError: it has none.
    """
    own = tokenizer.get("pre_tokenizer") or {}
    steps = own.get("pretokenizers", [own])
    kinds = [step.get("type") for step in steps]
    last = steps[-1]
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        raise _unsupported("+".join(map(str, kinds)))
    if kinds == ["ByteLevel"] and last.get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits") and last.get("use_regex", True):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not last.get("use_regex", True):
        pattern = str((steps[0].get("pattern") or {}).get("Regex"))
        name = _SPLITS.get(pattern)
        if name is not None and bool((tokenizer.get("model") or {}).get("ignore_merges")) == (name != "qwen2"):
            return name
        raise _unsupported(pattern[:80])
    raise _unsupported("+".join(map(str, kinds)))


def _tokens(tokenizer: dict[str, Any], size: int) -> tuple[list[str], list[int]]:
    """Return each id's token and type. Rows of embeddings without a token are named and marked as unused."""
    tokens, types = [f"[PAD{number}]" for number in range(size)], [int(gguf.TokenType.UNUSED)] * size
    for token, number in tokenizer["model"]["vocab"].items():
        tokens[number], types[number] = token, int(gguf.TokenType.NORMAL)
    for added in tokenizer.get("added_tokens", []):
        if added["id"] >= size:
            raise _unsupported(f"{added['content']!r}")
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], int(kind)
    return tokens, types


def _unsupported(value: str) -> FineTuneError:
    return FineTuneError.of(Code.GGUF_UNSUPPORTED, reason="tokenizer", value=value)
