"""A model's shape, read off its config.json: the number of weights is the model's own."""

import pytest

from interfaces.problems import FineTuneError
from studio.architecture import read_architecture

QWEN2 = {
    "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
    "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 32768, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    "sliding_window": 32768, "use_sliding_window": False,
}  # fmt: skip
LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
}
MISTRAL = {**LLAMA, "model_type": "mistral", "intermediate_size": 14336, "num_key_value_heads": 8}
MIXTRAL = {**MISTRAL, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
QWEN3 = {
    **QWEN2, "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
    "num_key_value_heads": 8, "head_dim": 128,
}  # fmt: skip
GEMMA = {
    "model_type": "gemma", "hidden_size": 2048, "intermediate_size": 16384, "num_hidden_layers": 18, "num_attention_heads": 8,
    "num_key_value_heads": 1, "head_dim": 256, "vocab_size": 256000,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "parameters"),
    [(QWEN2, 494_032_768), (LLAMA, 6_738_415_616), (MISTRAL, 7_241_732_096), (MIXTRAL, 46_702_792_704), (QWEN3, 596_049_920), (GEMMA, 2_506_172_416)],
    ids=["Qwen2.5-0.5B", "Llama-2-7B", "Mistral-7B", "Mixtral-8x7B", "Qwen3-0.6B", "Gemma-2B"],
)  # fmt: skip
def test_the_weights_are_counted_as_the_model_s_card_counts_them(config: dict[str, object], parameters: int) -> None:
    assert read_architecture(config).parameters == parameters


def test_what_a_token_passes_through_is_less_with_experts() -> None:
    dense, sparse = read_architecture(MISTRAL), read_architecture(MIXTRAL)
    assert dense.active_parameters < sparse.active_parameters < sparse.parameters / 3


def test_a_model_with_pictures_is_read_by_its_language_part() -> None:
    assert (
        read_architecture({"model_type": "qwen2_vl", "vision_config": {}, "text_config": QWEN2}).parameters
        == 494_032_768
    )


def test_a_window_counts_only_where_it_is_used() -> None:
    assert read_architecture(QWEN2).window == 0
    assert read_architecture({**QWEN2, "use_sliding_window": True}).window == 32768


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_type": "bert"},
        {**QWEN2, "hidden_size": "many"},
        {**QWEN2, "num_attention_heads": 0},
        {**QWEN2, "vocab_size": -1},
        {**QWEN2, "hidden_size": float("inf")},
        {**MIXTRAL, "num_local_experts": 10**10},
    ],
)
def test_a_config_that_says_too_little_is_a_sentence(config: dict[str, object]) -> None:
    with pytest.raises(FineTuneError, match=r"config\.json doesn't say enough"):
        read_architecture(config, "some/model")


def test_a_model_that_does_not_write_is_refused() -> None:
    with pytest.raises(FineTuneError, match="BertForMaskedLM, which doesn't write text"):
        read_architecture({**QWEN2, "architectures": ["BertForMaskedLM"]}, "bert")
    assert read_architecture({**QWEN2, "architectures": ["Qwen2ForCausalLM"]}).layers == 24
    assert read_architecture({**QWEN2, "architectures": ["GPT2LMHeadModel"]}).layers == 24
