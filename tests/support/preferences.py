"""Pairs of answers as tokens, a tiny model with an adapter, and TRL's trainers, for comparing losses and gradients."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from interfaces.config import FineTuneConfig


def sides(count: int = 4) -> list[tuple[list[int], list[int], list[int]]]:
    """Return (prompt, chosen, rejected) of different lengths, as ids of the tiny vocabulary."""
    import torch

    torch.manual_seed(5)

    def some(least: int, most: int) -> list[int]:
        found: list[int] = torch.randint(1, 250, (int(torch.randint(least, most, ())),)).tolist()
        return found

    return [(some(3, 20), some(2, 30), some(2, 30)) for _ in range(count)]


def sequence(prompt: list[int], answer: list[int], **more: Any) -> Any:
    return {"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer, **more}


def pairs(found: list[tuple[list[int], list[int], list[int]]]) -> list[Any]:
    return [[sequence(prompt, chosen), sequence(prompt, rejected)] for prompt, chosen, rejected in found]


def model_of(tiny_model: Path, chunked: bool = True) -> Any:
    """Return the tiny model in fp32 with an adapter that already answers differently than its base."""
    import torch
    from transformers import AutoModelForCausalLM

    from trainer.kernels.fast_paths import use_fast_paths

    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    if chunked:
        paths = use_fast_paths(base, "tiny")
        assert (paths.batches, paths.logits) == ("flat", "trained")
    return _adapted(base, "CAUSAL_LM")


def scorer(tiny_model: Path, ours: bool = True, flat: bool = True) -> Any:
    """Return a reward model of the tiny model, ours or transformers', with the same head and adapter."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    from trainer.kernels.fast_paths import use_fast_paths
    from trainer.models.scorer import scorer_of

    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    if flat:
        use_fast_paths(base, "tiny")
    made: Any = scorer_of(base, "tiny", 3)
    if not ours:
        head = made.score.weight
        made = AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=1, dtype=torch.float32)
        made.score.weight.data = head.data.clone()
    return _adapted(made, "SEQ_CLS")


def _adapted(base: Any, task: str) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(4)
    model = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", task_type=task))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    return model


def method_of(config: FineTuneConfig, flat: bool = True, **more: Any) -> Any:
    from trainer.methods.method import create_method
    from trainer.tokens.batches import flat_batch, padded_batch

    collate = flat_batch if flat else functools.partial(padded_batch, pad_token_id=0)
    return create_method(config, chunked=flat, collate=collate, **more)


def loss_and_gradients(model: Any, loss: Any) -> tuple[float, dict[str, Any]]:
    """Return a loss, and the gradient of each trained weight by the end of its name."""
    import torch

    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    found = torch.autograd.grad(loss, [dict(model.named_parameters())[name] for name in names])
    return float(loss), dict(zip(names, found, strict=True))


def assert_same(ours: tuple[float, dict[str, Any]], theirs: tuple[float, dict[str, Any]], loss: float = 1e-4) -> None:
    """Losses agree to 1e-4 and gradients to 2e-4, relative."""
    assert abs(ours[0] - theirs[0]) <= loss * abs(theirs[0]), (ours[0], theirs[0])
    assert ours[1].keys() == theirs[1].keys()
    for name, expected in theirs[1].items():
        assert (ours[1][name] - expected).norm() <= 2e-4 * expected.norm(), name


def tokens_of_theirs(kind: str, row: dict[str, Any]) -> Any:
    """Return a row that TRL has tokenized as ours takes it."""
    if kind == "kto":
        return sequence(row["prompt_ids"], row["completion_ids"], desirable=row["label"])
    if kind == "reward":
        return [sequence([], row[f"{side}_ids"]) for side in ("chosen", "rejected")]
    if kind == "dpo":
        return [sequence(row["prompt_ids"], row[f"{side}_ids"]) for side in ("chosen", "rejected")]
    return [{"input_ids": row[f"{side}_input_ids"], "labels": row[f"{side}_labels"]} for side in ("chosen", "rejected")]


def their_trainer(kind: str, model: Any, folder: Path, tokenizer: Any, rows: int = 4, **settings: Any) -> Any:
    """Create one of TRL's trainers for a model with an adapter and some made-up rows, in fp32 on the CPU."""
    from datasets import Dataset

    if kind == "orpo":
        from trl.experimental.orpo import ORPOConfig as Config
        from trl.experimental.orpo import ORPOTrainer as Trainer
    elif kind == "reward":
        from trl import RewardConfig as Config
        from trl import RewardTrainer as Trainer
    elif kind == "dpo":
        from trl import DPOConfig as Config
        from trl import DPOTrainer as Trainer
    else:
        from trl import KTOConfig as Config
        from trl import KTOTrainer as Trainer
    config = Config(
        output_dir=str(folder), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", max_length=512,
        disable_tqdm=True, per_device_train_batch_size=4, **settings,
    )  # fmt: skip
    places = range(rows)
    said: dict[str, list[Any]] = {
        "prompt": [f"What is {at}?" for at in places],
        "chosen": [" It is so" + "!" * at for at in places],
        "rejected": [" No" + "." * (at % 3) for at in places],
    }
    if kind == "kto":
        said = {"prompt": said["prompt"], "completion": said["chosen"], "label": [at % 3 > 0 for at in places]}
    return Trainer(model=model, args=config, train_dataset=Dataset.from_dict(said), processing_class=tokenizer)
