"""A model's shape, read off its config.json: the number of weights is the model's own."""

import pytest

from interfaces.errors import FineTuneError
from studio.models.architecture import read_architecture
from tests.support.shapes import GEMMA, LLAMA, MISTRAL, MIXTRAL, QWEN2, QWEN3


@pytest.mark.parametrize(
    ("config", "parameters"),
    [(QWEN2, 494_032_768), (LLAMA, 6_738_415_616), (MISTRAL, 7_241_732_096), (MIXTRAL, 46_702_792_704), (QWEN3, 596_049_920), (GEMMA, 2_506_172_416)],
    ids=["Qwen2.5-0.5B", "Llama-2-7B", "Mistral-7B", "Mixtral-8x7B", "Qwen3-0.6B", "Gemma-2B"],
)  # fmt: skip
def test_parameter_count_matches_model_card(config: dict[str, object], parameters: int) -> None:
    assert read_architecture(config).parameters == parameters


def test_active_parameters_are_fewer_with_experts() -> None:
    dense, sparse = read_architecture(MISTRAL), read_architecture(MIXTRAL)
    assert dense.active_parameters < sparse.active_parameters < sparse.parameters / 3


def test_vision_model_uses_its_text_config() -> None:
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
def test_incomplete_config_is_an_error(config: dict[str, object]) -> None:
    with pytest.raises(FineTuneError, match=r"config\.json doesn't fully describe"):
        read_architecture(config, "some/model")


def test_non_generative_model_is_rejected() -> None:
    with pytest.raises(FineTuneError, match="BertForMaskedLM, which doesn't generate text"):
        read_architecture({**QWEN2, "architectures": ["BertForMaskedLM"]}, "bert")
    assert read_architecture({**QWEN2, "architectures": ["Qwen2ForCausalLM"]}).layers == 24
    assert read_architecture({**QWEN2, "architectures": ["GPT2LMHeadModel"]}).layers == 24


def test_a_config_of_huge_numbers_takes_no_memory() -> None:
    """Ten billion experts a token were a list in the studio's own process, and its end."""
    hostile = {**MIXTRAL, "num_local_experts": 4095, "num_hidden_layers": 4095, "num_experts_per_tok": 10**9}
    with pytest.raises(FineTuneError):
        read_architecture(hostile)
    large = read_architecture({**hostile, "num_experts_per_tok": 4000})
    assert large.active_parameters > 10**12


def test_active_parameters_are_those_of_chosen_experts() -> None:
    assert read_architecture(MIXTRAL).active_parameters == pytest.approx(12.7e9, rel=0.02)
