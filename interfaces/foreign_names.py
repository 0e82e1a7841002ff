"""The names of our settings in other tools."""

from __future__ import annotations

FOREIGN_NAMES = {
    "model_name_or_path": "model_name", "base_model": "model_name", "model": "model_name", "model_id_or_path": "model_name",
    "cutoff_len": "max_length", "sequence_len": "max_length", "max_seq_length": "max_length", "max_seq_len": "max_length",
    "lora_rank": "lora.r", "lora_r": "lora.r", "lora_alpha": "lora.lora_alpha", "lora_dropout": "lora.lora_dropout",
    "lora_target": "lora.target_modules", "lora_target_modules": "lora.target_modules", "lora_target_linear": "lora.target_modules",
    "loraplus_lr_ratio": "lora.loraplus_lr_ratio", "peft_layers_to_transform": "lora.layers_to_transform", "dpo_label_smoothing": "dpo.label_smoothing",
    "target_modules": "lora.target_modules", "use_rslora": "lora.use_rslora", "use_dora": "lora.use_dora",
    "micro_batch_size": "per_device_train_batch_size", "batch_size": "per_device_train_batch_size",
    "num_epochs": "num_train_epochs", "epochs": "num_train_epochs", "warmup_ratio": "warmup_steps", "lr": "learning_rate",
    "lr_scheduler": "lr_scheduler_type", "optimizer": "optim", "val_size": "validation_split", "val_set_size": "validation_split",
    "split_dataset_ratio": "validation_split", "datasets": "dataset", "train_file": "dataset", "sample_packing": "packing",
    "neat_packing": "packing", "quantization_bit": "load_in_4bit", "quant_bits": "load_in_4bit",
    "adapter_path": "adapter_name_or_path", "lora_model_dir": "adapter_name_or_path", "resume_from_checkpoint": "",
}  # fmt: skip
"""Names from LLaMA-Factory, axolotl, Unsloth, and ms-swift, mapped to our settings; empty if no setting matches."""
