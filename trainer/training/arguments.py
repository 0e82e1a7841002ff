"""The one translation from our settings to transformers' `TrainingArguments`.

Every argument that we decide is passed by name, so that no second default decides in silence.
"""

from __future__ import annotations

from transformers import TrainingArguments

from interfaces.config import FineTuneConfig
from interfaces.folders import RunFolder
from trainer.models.device import Compute


def training_arguments(
    config: FineTuneConfig, folder: RunFolder, compute: Compute, evaluates: bool
) -> TrainingArguments:
    """`evaluates` is false where no row was kept aside."""
    eval_steps = _steps(config.eval_steps) if evaluates else 0
    save_steps = _steps(config.save_steps)
    batch = 1 if config.packing else config.per_device_train_batch_size  # a pack is a batch already
    return TrainingArguments(
        output_dir=str(folder.staging),
        num_train_epochs=config.num_train_epochs,
        max_steps=config.max_steps if config.max_steps > 0 else -1,
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=batch,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.lr_scheduler_type,
        # The stock end of 1e-7 is refused where it isn't below the rate itself.
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
        # The base already lies in its number format and the adapter in fp32, between which PEFT casts.
        # fp16 needs a scaled loss, which comes with this switch.
        bf16=False,
        fp16=config.fp16,
        use_cpu=compute.device.type == "cpu",
        logging_strategy="steps",
        logging_steps=config.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # the filter shows a diverged run as loss 0.0
        eval_strategy="steps" if eval_steps else "no",
        eval_steps=eval_steps or None,
        save_strategy="steps",
        # No step is a multiple of this one: the end of the run is saved in any case.
        save_steps=save_steps or 10**9,
        save_total_limit=None,  # checkpoints are rotated after they are committed, by step and not by clock
        load_best_model_at_end=False,
        push_to_hub=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_num_workers=0,  # small examples, tokenized already: workers would only copy them
        dataloader_pin_memory=compute.device.type == "cuda",
        remove_unused_columns=False,
        prediction_loss_only=True,
        include_num_input_tokens_seen="no",
        average_tokens_across_devices=True,
    )


def _steps(value: float) -> float:
    """transformers' own rule: a fraction below 1 is a share of all steps."""
    return int(value) if value >= 1 else value
