"""GGUF files compute in llama.cpp what transformers computes, and split texts into the same tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from tests.support.adapters import adapter_folder
from tests.support.tiny_families import TEXTS, served, tiny_family, written

pytestmark = pytest.mark.tiny
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # fmt: skip


@pytest.mark.parametrize(
    ("family", "split", "more"),
    [
        ("llama", "smollm", {"tie_word_embeddings": True}),
        ("llama", "llama-bpe", {"rope_parameters": LLAMA3}),
        ("qwen2", "qwen2", {"tie_word_embeddings": False}),
        ("qwen3", "qwen2", {"tie_word_embeddings": True, "head_dim": 32}),
        ("mistral", "gpt-2", {"sliding_window": None}),
        ("mistral", "mistral", {"sliding_window": None}),
        ("llama", "llama-2", {}),
        ("gemma", "gemma", {}),
        ("gemma2", "gemma", {"sliding_window": 16, "query_pre_attn_scalar": 16}),
        ("gemma3_text", "gemma", {"sliding_window": 16, "query_pre_attn_scalar": 16, "num_hidden_layers": 7}),
    ],
)
def test_llama_cpp_computes_what_transformers_does(
    tmp_path: Path, family: str, split: str, more: dict[str, Any]
) -> None:
    """Log-probabilities of all tokens after prefixes that both are given."""
    base = tiny_family(tmp_path / "base", family, split, **more)
    written(base, tmp_path)
    assert compared(base, tmp_path, 60) > 5


def compared(base: Path, place: Path, most: int) -> int:
    """Compare the log-probabilities that llama.cpp and transformers give after prefixes, and return how many prefixes."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    adapter = str(place / "adapter")
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).merge_and_unload().eval()
    tokenizer, server = AutoTokenizer.from_pretrained(base), served(place / "tiny.gguf")
    ids = tokenizer("".join(TEXTS[:4]))["input_ids"][:most]
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0]
    count = 0
    for length in range(1, len(ids)):
        asked = {"prompt": ids[:length], "n_predict": 1, "temperature": 0, "n_probs": 50, "cache_prompt": False}
        answer = server.handle_completions(asked)
        wanted = torch.log_softmax(logits[length - 1], dim=-1)
        said = answer["choices"][0]["logprobs"]
        if said is None:
            continue  # the first token ends the answer, or is half a character
        count += 1
        seen = {one["id"]: one["logprob"] for one in said["content"][0]["top_logprobs"]}
        assert len(seen) == 50
        scale = float(wanted.abs().max())
        assert max(abs(value - float(wanted[token])) for token, value in seen.items()) < 1e-2 * scale, length
    return count


QWEN_1_5B = {
    "hidden_size": 1536, "intermediate_size": 8960, "num_attention_heads": 12, "num_key_value_heads": 2, "head_dim": 128,
}  # fmt: skip
QWEN_3 = {
    "hidden_size": 1024, "intermediate_size": 3072, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(("family", "shape", "template"), [("qwen2", QWEN_1_5B, "qwen2_5"), ("qwen3", QWEN_3, "qwen3")])
def test_few_layers_of_real_shapes_with_their_tokenizers_settings(
    tmp_path: Path, family: str, shape: dict[str, int], template: str
) -> None:
    """The rule, the normalizer, the special tokens, and the template of Qwen; the vocabulary is a small one of ours."""
    import torch
    import trl
    from peft import PeftModel
    from tokenizers import Tokenizer, normalizers
    from transformers import AutoModelForCausalLM

    from trainer.artifacts.merged_folder import MergedFolder
    from trainer.artifacts.merged_model import MergedModel
    from trainer.models.model_files import ModelFiles
    from trainer.tokens.tokenizer import load_template

    base = tiny_family(
        tmp_path / "base", family, "qwen2", **shape, vocab_size=151936, tie_word_embeddings=True, initializer_range=0.02,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6}, max_position_embeddings=32768,
    )  # fmt: skip
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.save(str(base / "tokenizer.json"))
    chat = Path(trl.__file__).parent / "chat_templates" / f"{template}.jinja"
    (base / "chat_template.jinja").write_text(chat.read_text())
    for kind, substituted in (("q4_k_m", 0), ("f16", 0), ("f32", 0)):
        made = written(base, tmp_path, kind)
        assert made.substituted == substituted
        if kind != "q4_k_m":
            assert compared(base, tmp_path, 24) > 5

    adapter = tmp_path / "adapter"
    folder = MergedFolder(MergedModel(base, adapter), "f32")
    loaded = load_template(ModelFiles(base, "tiny", None), "tiny")
    folder.write(tmp_path / "merged", base, adapter, loaded, lambda *_: None)
    ids = torch.arange(5, 60)[None]
    with torch.inference_mode():
        adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(adapter)).eval()
        wanted = adapted(ids).logits
        seen = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()(ids).logits
    assert (seen - wanted).abs().max() <= 1e-4 * wanted.abs().max()


@pytest.mark.parametrize(
    ("kind", "types", "substituted"),
    [("f16", {"f16": 15, "f32": 11}, 0), ("q8_0", {"f32": 11, "q8_0": 15}, 0), ("q4_0", {"f32": 11, "q4_0": 14, "q8_0": 1}, 0)],
)  # fmt: skip
def test_tensors_have_the_type_that_was_asked_for(
    tmp_path: Path, kind: str, types: dict[str, int], substituted: int
) -> None:
    made = written(tiny_family(tmp_path / "base", "qwen2", tie_word_embeddings=True), tmp_path, kind)
    assert (made.types, made.substituted) == (types, substituted)


def test_rows_that_do_not_divide_into_blocks_are_counted(tmp_path: Path) -> None:
    base = tiny_family(tmp_path / "base", "qwen2", tie_word_embeddings=True, hidden_size=40, head_dim=10)
    made = written(base, tmp_path, "q8_0")
    assert made.types == {"f16": 13, "f32": 11, "q8_0": 2}
    assert made.substituted == 13


@pytest.mark.parametrize(
    ("family", "changes", "says"),
    [
        ("gpt_neox", {}, "gpt_neox"),
        ("llama", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0}}, "rope_type=yarn"),
        ("qwen2", {"use_sliding_window": True}, "use_sliding_window"),
        ("llama", {"attention_bias": True}, "attention_bias"),
        ("gemma2", {"query_pre_attn_scalar": 144}, "query_pre_attn_scalar=144"),
        ("gemma2", {"query_pre_attn_scalar": 16, "layer_types": ["full_attention", "full_attention"]}, "layer_types"),
        ("gemma", {"hidden_act": "silu"}, "hidden_activation=silu"),
        ("llama", {"split": {"type": "Whitespace"}}, "Whitespace"),
        ("llama", {"split": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "x+"}}, {"type": "ByteLevel", "use_regex": False}]}}, "x+"),
        ("llama", {"model": {"byte_fallback": True}}, "Sequence"),
        ("llama", {"merges": "one missing"}, "byte_fallback"),
        ("llama", {"merges": "mixed"}, "byte_fallback"),
        ("llama", {"normalizer": {"type": "NFC"}}, "NFC"),
    ],
)  # fmt: skip
def test_what_llama_cpp_would_compute_otherwise_is_refused(
    tmp_path: Path, family: str, changes: dict[str, Any], says: str
) -> None:
    from transformers import PreTrainedTokenizerFast

    more = {"hidden_act": "gelu"} if family == "gpt_neox" else {}
    split = "llama-2" if {"merges", "normalizer"} & changes.keys() else "qwen2"
    base = tiny_family(tmp_path / "base", family, split, **more)
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    merges = tokenizer["model"]["merges"]
    if wanted := changes.pop("merges", None):
        tokenizer["model"]["merges"] = merges[1:] if wanted == "one missing" else [*merges, merges[0]]
    tokenizer["normalizer"] = changes.pop("normalizer", tokenizer["normalizer"])
    if "split" in changes:
        tokenizer["pre_tokenizer"] = changes.pop("split")
    tokenizer["model"] |= changes.pop("model", {})
    template = PreTrainedTokenizerFast.from_pretrained(base)
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(FineTuneError) as caught:
        _refused(base, tmp_path, tokenizer, template)
    assert caught.value.problems[0].code is Code.GGUF_UNSUPPORTED
    assert says in str(caught.value)


def _refused(base: Path, place: Path, tokenizer: dict[str, Any], loaded: Any) -> None:
    from trainer.artifacts.gguf_file import GGUFFile
    from trainer.artifacts.merged_model import MergedModel
    from trainer.tokens.template import ChatTemplate

    adapter = adapter_folder(place / "adapter", base, 1)
    made = GGUFFile(MergedModel(base, adapter), "f16")
    (place / "other").mkdir()
    (place / "other" / "tokenizer.json").write_text(json.dumps(tokenizer))
    made.write(place / "refused.gguf", "Tiny", place / "other", ChatTemplate(loaded, "tiny"), lambda *_: None)
