"""The vocabulary of a GGUF file: tokens, merges, special tokens, the chat template, and how texts are split.

llama.cpp splits a text by a rule that it knows by a name, `tokenizer.ggml.pre`. The name is found by comparing the rule
in tokenizer.json with those that llama.cpp has, since a wrong one gives other tokens without any error.
"""

from __future__ import annotations

import itertools
import re
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
SPACE = "\u2581"
"""How SentencePiece writes a space."""
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_SPLITS = {_GPT4 % "": "qwen2", _GPT4 % "{1,3}": "llama-bpe", _TEKKEN: "tekken"}
"""Regular expressions in tokenizer.json, and llama.cpp's names of them."""


def add_vocabulary(writer: gguf.GGUFWriter, folder: Path, size: int, template: ChatTemplate) -> None:
    """Add the tokenizer in `folder` for a model with `size` rows of embeddings.

    Raises:
        FineTuneError: llama.cpp has no such tokenizer.
    """
    tokenizer: dict[str, Any] = dict(read_json(folder / "tokenizer.json") or {})
    model = tokenizer.get("model") or {}
    if model.get("type") != "BPE":
        raise _unsupported(str(model.get("type")))
    tokens, types = _tokens(tokenizer, size)
    of_bytes = not model.get("byte_fallback")
    if of_bytes:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_split_of(tokenizer))
    else:
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_add_space_prefix(_adds_space(tokenizer))
        writer.add_token_scores(_scores(model, tokens, types))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    special = gguf.SpecialVocab(folder, load_merges=of_bytes, n_vocab=size)
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


def _adds_space(tokenizer: dict[str, Any]) -> bool:
    """Return whether a tokenizer of SentencePiece writes a space before each text, also after a special token.

    One that does so only at the beginning of all (`first`) counts as one that doesn't: conversations begin with a
    special token.

    Raises:
        FineTuneError: it treats spaces in another way.
    """
    own, normalizer = tokenizer.get("pre_tokenizer") or {}, tokenizer.get("normalizer") or {}
    steps = normalizer.get("normalizers", [normalizer] if normalizer else [])
    replaced = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    if own.get("type") == "Metaspace" and not steps and own.get("replacement") == SPACE and not own.get("split", True):
        return bool(own.get("prepend_scheme", "always") == "always")
    kept_whole = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    if steps == [{"type": "Prepend", "prepend": SPACE}, replaced] and not own:
        return True
    if steps == [replaced] and own in ({}, kept_whole):
        return False
    raise _unsupported("+".join(str(step.get("type")) for step in [*steps, own] if step))


def _scores(model: dict[str, Any], tokens: list[str], types: list[int]) -> list[float]:
    """Return each token's score. Where SentencePiece joins the neighbors whose token has the best score, a tokenizer.json
    lists the pairs by that score (`SentencePieceExtractor` of transformers).

    Raises:
        FineTuneError: the pairs say more than scores can.
    """
    vocabulary: dict[str, int] = model["vocab"]
    pairs = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    made = ["".join(pair) for pair in pairs]
    order = list(dict.fromkeys(made))
    groups, known = sum(1 for _ in itertools.groupby(made)), set(pairs)
    joined = (
        (token[:at], token[at:]) for token in vocabulary for at in range(1, len(token)) if types[vocabulary[token]] == gguf.TokenType.NORMAL
    )  # fmt: skip
    if groups != len(order) or any(
        first in vocabulary and second in vocabulary and (first, second) not in known for first, second in joined
    ):
        raise _unsupported("BPE with byte_fallback")
    rank = {token: place for place, token in enumerate(order)}
    return [-float(rank.get(token, 0)) for token in tokens]


def _tokens(tokenizer: dict[str, Any], size: int) -> tuple[list[str], list[int]]:
    """Return each id's token and type. Rows of embeddings without a token are named and marked as unused."""
    tokens, types = [f"[PAD{number}]" for number in range(size)], [int(gguf.TokenType.UNUSED)] * size
    model = tokenizer["model"]
    for token, number in model["vocab"].items():
        kind = gguf.TokenType.NORMAL
        if model.get("byte_fallback") and _BYTE.fullmatch(token):
            kind = gguf.TokenType.BYTE
        tokens[number], types[number] = token, int(kind)
    for added in tokenizer.get("added_tokens", []):
        if added["id"] >= size:
            raise _unsupported(f"{added['content']!r}")
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        if model.get("byte_fallback") and added["content"] == model.get("unk_token"):
            kind = gguf.TokenType.UNKNOWN
        tokens[added["id"]], types[added["id"]] = added["content"], int(kind)
    return tokens, types


def _unsupported(value: str) -> FineTuneError:
    return FineTuneError.of(Code.GGUF_UNSUPPORTED, reason="tokenizer", value=value)
