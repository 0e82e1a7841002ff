"""LoRA fine-tuning with transformers.Trainer and PEFT, in a separate process. See `docs/architecture.md`."""
