"""Flat batches and the head on trained positions learn what a padded batch through the model's own code learns."""

from __future__ import annotations

from typing import Any

import pytest

from interfaces.run_records import Machine

pytestmark = pytest.mark.tiny

SMALL: dict[str, Any] = {
    "vocab_size": 512, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256, "pad_token_id": 0, "initializer_range": 0.2,
}  # fmt: skip
FAST: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("llama", {"tie_word_embeddings": False}),
    "Llama, tied": ("llama", {"tie_word_embeddings": True}),
    "Qwen2": ("qwen2", {}),
    "Qwen2, sliding window": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "Qwen3": ("qwen3", {}),
    "Mistral, sliding window": ("mistral", {"sliding_window": 6}),
    "Gemma": ("gemma", {}),
    "Gemma 3": ("gemma3_text", {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]}),
    "Phi-3": ("phi3", {"partial_rotary_factor": 1.0}),
    "OLMo 2": ("olmo2", {}),
    "SmolLM3": ("smollm3", {}),
    "Qwen3 MoE": ("qwen3_moe", {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}),
    "GLM": ("glm", {}),
}
SLOWER = {
    "Gemma 2": ("gemma2", {"final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0}, ("softcap", "softcapping")),
    "Cohere": ("cohere", {"logit_scale": 0.5}, ("", "logit_scale")),
    "Granite": ("granite", {"logits_scaling": 4.0}, ("", "logits_scaling")),
    "GPT-Neo": ("gpt_neo", {"num_layers": 2, "num_heads": 4, "attention_types": [[["global"], 2]]}, ("can't be replaced", "")),
    "Mixtral": ("mixtral", {"num_local_experts": 4, "output_router_logits": True}, ("", "load-balancing")),
    "LFM2": ("lfm2", {"layer_types": ["conv", "full_attention"], "block_ff_dim": 64}, ("same batch affect each other", "")),
}  # fmt: skip
LENGTHS = (7, 30, 2, 12)


def base_model(kind: str, settings: dict[str, Any]) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(kind, **{**SMALL, **settings})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return model.requires_grad_(False)


def examples() -> list[dict[str, list[int]]]:
    """Four sequences of which the second half is trained on; one has a single learned token."""
    import torch

    torch.manual_seed(5)
    made = []
    for length in LENGTHS:
        ids = torch.randint(1, 512, (length,)).tolist()
        made.append({"input_ids": ids, "labels": [-100] * (length // 2) + ids[length // 2 :]})
    return made


def with_adapter(model: Any) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return adapted


def learn(adapted: Any, batch: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """The loss and the gradient of every LoRA matrix."""
    adapted.train()
    loss = adapted(**batch).loss
    loss.backward()
    return loss.item(), {name: value.grad for name, value in adapted.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("checkpointing", [False, True], ids=["remembered", "recomputed"])
@pytest.mark.parametrize("name", FAST)
def test_every_gradient_equals_that_of_a_padded_batch(name: str, checkpointing: bool) -> None:
    from trainer.kernels.fast_paths import use_fast_paths
    from trainer.kernels.lora_linear import use_lora_linear
    from trainer.tokens.batches import flat_batch, padded_batch

    plain, ours = base_model(*FAST[name]), base_model(*FAST[name])
    fast_paths = use_fast_paths(ours, name)
    assert (fast_paths.batches, fast_paths.logits) == ("flat", "trained"), fast_paths.warnings
    assert fast_paths.warnings == ()
    if checkpointing:
        for model in (plain, ours):
            model.enable_input_require_grads()
            model.gradient_checkpointing_enable({"use_reentrant": False})
    plain, ours = with_adapter(plain), with_adapter(ours)
    use_lora_linear(ours)
    loss, grads = learn(ours, flat_batch(examples()))
    expected, wanted = learn(plain, padded_batch(examples(), 0))
    assert loss == pytest.approx(expected, rel=1e-5)
    assert grads.keys() == wanted.keys()
    assert len(grads) >= 8
    for key, grad in grads.items():
        assert float((grad - wanted[key]).norm()) <= 1e-4 * float(wanted[key].norm()), key


@pytest.mark.parametrize("name", SLOWER)
def test_an_unknown_architecture_trains_as_its_authors_wrote_it(name: str) -> None:
    from interfaces.problems import Code
    from interfaces.texts import sentence
    from trainer.kernels.fast_paths import use_fast_paths
    from trainer.tokens.batches import flat_batch, padded_batch

    kind, settings, reasons = SLOWER[name]
    plain, ours = base_model(kind, settings), base_model(kind, settings)
    fast_paths = use_fast_paths(ours, name)
    reported = {problem.code: sentence(problem) for problem in fast_paths.warnings}
    for code, reason in zip((Code.FLAT_BATCHES_REFUSED, Code.CHUNKED_LOSS_REFUSED), reasons, strict=True):
        assert (code in reported) == bool(reason), reported
        assert reason in reported.get(code, "")
    assert fast_paths.batches == ("padded" if reasons[0] else "flat")
    assert fast_paths.logits == ("all" if reasons[1] else "trained")
    plain, ours = with_adapter(plain), with_adapter(ours)
    loss, grads = learn(ours, flat_batch(examples()) if fast_paths.batches == "flat" else padded_batch(examples(), 0))
    expected, wanted = learn(plain, padded_batch(examples(), 0))
    assert loss == pytest.approx(expected, rel=1e-5)
    for key, grad in grads.items():
        assert float((grad - wanted[key]).norm()) <= 1e-4 * float(wanted[key].norm()), key


@pytest.mark.parametrize("seed", range(5))
def test_leak_below_rounding_is_always_detected(seed: int) -> None:
    """A short convolution over neighbors moves little at the usual width of first weights: 7e-4 of the logits."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from trainer.kernels.fast_paths import use_fast_paths

    config = AutoConfig.for_model("lfm2", **{**SMALL, **SLOWER["LFM2"][1], "initializer_range": 0.02})
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    assert use_fast_paths(model, "x").batches == "padded"


@pytest.mark.parametrize("name", [*FAST, "in 16 bits"])
def test_other_sequences_stay_bit_identical_except_for_experts(name: str) -> None:
    import torch

    from trainer.kernels.fast_paths import use_fast_paths

    model = base_model(*FAST.get(name, FAST["Qwen2"]))
    if name == "in 16 bits":
        model = model.to(torch.bfloat16)
    assert use_fast_paths(model, name).batches == "flat"


def test_attention_that_only_a_mask_describes_is_left_to_the_library() -> None:
    """Chunks of 8,192 tokens can't be seen in a trial of seventeen: the class itself says that it needs masks."""
    from interfaces.texts import sentence
    from trainer.kernels.fast_paths import use_fast_paths

    model = base_model("llama4_text", {"num_local_experts": 2, "intermediate_size_mlp": 64})
    fast_paths = use_fast_paths(model, "x")
    assert (fast_paths.batches, fast_paths.logits) == ("padded", "all")
    assert "needs a mask" in sentence(fast_paths.warnings[0])
    assert model.config._attn_implementation == "sdpa"


def test_full_logits_and_attention_matrix_never_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from trainer.kernels import chunked_loss
    from trainer.kernels.fast_paths import use_fast_paths
    from trainer.tokens.batches import flat_batch

    class Sizes(TorchDispatchMode):
        largest: torch.Size = torch.Size([])
        square = False

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = func(*args, **(kwargs or {}))
            for one in made if isinstance(made, (tuple, list)) else [made]:
                if isinstance(one, torch.Tensor) and one.dim() > 1:  # 32 is the size of the head itself
                    self.square = self.square or list(one.shape[-2:]) == [800, 800]
                    if one.numel() > self.largest.numel() and one.shape[-1:] == (4096,) and len(one) != 32:
                        self.largest = one.shape
            return made

    monkeypatch.setattr(chunked_loss, "CHUNK_ELEMENTS", 4096 * 10)
    model = base_model("llama", {"vocab_size": 4096, "tie_word_embeddings": False, "max_position_embeddings": 1024})
    assert use_fast_paths(model, "x").batches == "flat"
    adapted = with_adapter(model)
    ids = list(range(1, 101))
    batch = flat_batch([{"input_ids": ids, "labels": [-100] * 50 + ids[50:]}] * 8)
    with Sizes() as seen:
        learn(adapted, batch)
    assert not seen.square
    assert seen.largest == (10, 4096)


def test_it_still_answers_and_shows_its_signature() -> None:
    import inspect

    import torch

    from trainer.kernels.fast_paths import use_fast_paths

    plain, ours = base_model("qwen2", {}), base_model("qwen2", {})
    use_fast_paths(ours, "x")
    assert inspect.signature(ours.forward) == inspect.signature(plain.forward)
    ids = torch.arange(1, 9)[None]
    said = [model.generate(ids, max_new_tokens=12, do_sample=False).tolist() for model in (plain.eval(), ours.eval())]
    assert said[0] == said[1]


def test_the_trial_leaves_the_random_numbers_alone() -> None:
    import torch

    from trainer.kernels.fast_paths import use_fast_paths

    model = base_model("qwen2", {})
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    use_fast_paths(model, "x")
    assert torch.equal(torch.rand(3), expected)


def test_resume_keeps_disabled_fast_paths() -> None:
    from trainer.kernels.fast_paths import use_fast_paths

    model = base_model("qwen2", {})
    earlier = Machine(device="cpu", dtype="float32", threads=2, batches="padded", logits="all")
    fast_paths = use_fast_paths(model, "x", earlier)
    assert (fast_paths.batches, fast_paths.logits, fast_paths.warnings) == ("padded", "all", ())
    assert model.config._attn_implementation == "sdpa"
    assert "forward" not in vars(model)


@pytest.mark.gpu
@pytest.mark.parametrize("name", FAST)
def test_on_a_gpu_flat_batches_learn_what_padded_ones_learn(name: str) -> None:
    import torch

    from trainer.kernels.fast_paths import use_fast_paths
    from trainer.tokens.batches import flat_batch, padded_batch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device: run it on a machine with an NVIDIA card")
    plain, ours = (base_model(*FAST[name]).to("cuda", torch.bfloat16) for _ in range(2))
    assert use_fast_paths(ours, name).batches == "flat"

    def placed(batch: dict[str, Any]) -> dict[str, Any]:
        return {key: value.cuda() if isinstance(value, torch.Tensor) else value for key, value in batch.items()}

    loss, grads = learn(with_adapter(ours), placed(flat_batch(examples())))
    expected, wanted = learn(with_adapter(plain), placed(padded_batch(examples(), 0)))
    assert loss == pytest.approx(expected, rel=2e-2)
    for key, grad in grads.items():
        assert float((grad - wanted[key]).norm()) <= 0.1 * float(wanted[key].norm()), key
