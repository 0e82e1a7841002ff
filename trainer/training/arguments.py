"""The only translation from our settings to transformers' `TrainingArguments`.

Every argument that we control is passed by name, so that no default of transformers applies silently.
"""

from __future__ import annotations

from transformers import TrainingArguments

from interfaces.config import FineTuneConfig, token_budget
from interfaces.folders import RunFolder
from trainer.models.device import Compute


def training_arguments(
    config: FineTuneConfig, folder: RunFolder, compute: Compute, evaluates: bool
) -> TrainingArguments:
    """Create the arguments. `evaluates` is false if there are no validation rows."""
    eval_steps = _steps(config.eval_steps) if evaluates else 0
    save_steps = _steps(config.save_steps)
    batch = 1 if token_budget(config) else config.per_device_train_batch_size  # a pack is a batch already
    return TrainingArguments(
        output_dir=str(folder.staging),
        num_train_epochs=config.num_train_epochs,
        max_steps=config.max_steps if config.max_steps > 0 else -1,
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=batch,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.lr_scheduler_type,
        # transformers rejects its default end of 1e-7 if the learning rate isn't higher.
        lr_scheduler_kwargs={"lr_end": min(1e-7, config.learning_rate / 10)}
        if config.lr_scheduler_type == "polynomial"
        else {},
        warmup_steps=_steps(config.warmup_steps),
        optim=config.optim,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        neftune_noise_alpha=config.neftune_noise_alpha or None,
        seed=config.seed,
        data_seed=config.seed,
        activation_checkpointing=config.gradient_checkpointing is True,
        activation_checkpointing_kwargs={"use_reentrant": False},
        # The base already has its dtype and the adapter is in fp32; PEFT casts between them.
        # fp16 needs loss scaling, which this flag enables.
        bf16=False,
        fp16=config.fp16,
        use_cpu=compute.device.type == "cpu",
        logging_strategy="steps",
        logging_steps=config.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # the filter would show a diverged run as loss 0.0
        eval_strategy="steps" if eval_steps else "no",
        eval_steps=eval_steps or None,
        save_strategy="steps",
        # No step is a multiple of this number. The end of the run is always saved.
        save_steps=save_steps or 10**9,
        save_total_limit=None,  # we rotate checkpoints after the commit, by step and not by file time
        load_best_model_at_end=False,
        push_to_hub=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_num_workers=0,  # examples are small and already tokenized: workers would only copy them
        dataloader_pin_memory=compute.device.type == "cuda",
        remove_unused_columns=False,
        prediction_loss_only=True,
        include_num_input_tokens_seen="no",
        average_tokens_across_devices=True,
    )


def _steps(value: float) -> float:
    """Convert a step count as transformers does: a fraction below 1 is a share of all steps."""
    return int(value) if value >= 1 else value
