"""Tiny models of several families with a tokenizer that llama.cpp has too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHATML
from tests.support.adapters import adapter_folder
from trainer.models.model_files import ModelFiles

SPLITS = {
    "gpt-2": None,
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "llama-bpe": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "smollm": None,
    "tekken": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
SENTENCEPIECE = ("llama-2", "mistral", "gemma")
"""Tokenizers of SentencePiece: with a space before each text, before the first one, and without."""
TEXTS = ["The lantern burns for 1234 hours, doesn't it?", "灯笼可以亮很久。", "def f(x):\n    return x + 1  # twice\n", "  spaces\t\n\n"] * 30  # fmt: skip


def tiny_family(place: Path, family: str, split: str = "qwen2", **more: Any) -> Path:
    """A random model with 64 numbers a token and about 400 tokens."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    steps = pre_tokenizers
    backend = Tokenizer(models.BPE(ignore_merges=split in ("llama-bpe", "tekken")))
    pattern = SPLITS.get(split)
    if split in SENTENCEPIECE:
        backend = _sentencepiece(split)
    elif pattern:
        splitting = steps.Split(Regex(pattern), "isolated")
        backend.pre_tokenizer = steps.Sequence([splitting, steps.ByteLevel(add_prefix_space=False, use_regex=False)])
    elif split == "smollm":
        backend.pre_tokenizer = steps.Sequence(
            [steps.Digits(individual_digits=True), steps.ByteLevel(add_prefix_space=False)]
        )
    else:
        backend.pre_tokenizer = steps.ByteLevel(add_prefix_space=False)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    if split not in SENTENCEPIECE:
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=steps.ByteLevel.alphabet(), show_progress=False
        )
        backend.train_from_iterator(TEXTS, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=special[2], pad_token=special[0])
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(place)
    torch.manual_seed(3)
    sizes: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "head_dim": 16, "initializer_range": 0.2}  # fmt: skip
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    rows = -(-len(tokenizer) // 32) * 32  # more rows than tokens, as many models have
    config = AutoConfig.for_model(family, **{"vocab_size": rows, **sizes, **ids, **more})
    AutoModelForCausalLM.from_config(config).save_pretrained(place)
    return place


def _sentencepiece(split: str) -> Any:
    """A tokenizer as transformers converts one of SentencePiece: with each way to join two tokens into a third."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    replaced = normalizers.Replace(" ", "\u2581")
    learned = Tokenizer(models.BPE())
    learned.normalizer = replaced
    learned.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=200, show_progress=False))
    pieces = [token for token, _ in sorted(learned.get_vocab().items(), key=lambda item: item[1])]
    special = ["<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {
        token: number for number, token in enumerate([*special, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces])
    }
    merges = [
        (piece[:at], piece[at:])
        for piece in pieces
        for at in range(1, len(piece))
        if piece[:at] in vocabulary and piece[at:] in vocabulary
    ]
    backend = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if split == "llama-2":
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), replaced])
    elif split == "mistral":
        backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="first", split=False)
    else:
        backend.normalizer = replaced
        backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    backend.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return backend


def written(base: Path, place: Path, kind: str = "f32") -> Any:
    from trainer.artifacts.gguf_file import GGUFFile
    from trainer.artifacts.merged_model import MergedModel
    from trainer.tokens.tokenizer import load_template

    adapter = adapter_folder(place / "adapter", base, 1)
    template = load_template(ModelFiles(base, "tiny", None), "tiny")
    made = GGUFFile(MergedModel(base, adapter), kind)
    told: list[tuple[int, int]] = []
    made.write(place / "tiny.gguf", "Tiny", base, template, lambda *seen: told.append(seen))
    assert told[-1] == (made.bytes, made.bytes)
    return made


def served(path: Path) -> Any:
    xllamacpp = pytest.importorskip("xllamacpp")
    settings = xllamacpp.CommonParams()
    settings.model.path, settings.n_parallel, settings.port, settings.warmup = str(path), 1, 0, False
    settings.n_ctx = 512
    return xllamacpp.Server(settings)
