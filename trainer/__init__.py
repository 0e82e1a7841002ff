"""LoRA fine-tuning on transformers.Trainer and PEFT, behind `IFineTuneService`, in a process of its own. `docs/architecture.md` has its rooms."""
