"""The training loop on bare sequences of tokens, without a run: for comparing it with the library's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def rows_of_tokens(count: int = 60) -> list[dict[str, list[int]]]:
    """Sequences of 4 to 60 tokens, of which the second half is trained on."""
    import torch

    torch.manual_seed(3)
    made = []
    for _ in range(count):
        length = int(torch.randint(4, 60, ()))
        ids = torch.randint(1, 250, (length,)).tolist()
        made.append({"input_ids": ids, "labels": [-100] * (length // 2) + ids[length // 2 :]})
    return made


def arguments(folder: Path, **more: Any) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(folder), use_cpu=True, per_device_train_batch_size=2,
        logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True, remove_unused_columns=False, seed=7,
        optim="adamw_torch_fused", **{"learning_rate": 5e-3, "max_steps": 30, "gradient_accumulation_steps": 2, **more},
    )  # fmt: skip


def adapted(tiny_model: Path, dtype: Any) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=dtype)

    def wrap() -> Any:
        torch.manual_seed(4)
        return get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))

    return base, wrap
