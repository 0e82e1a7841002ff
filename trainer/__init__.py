"""LoRA fine-tuning on transformers.Trainer and PEFT, behind `IFineTuneService`, in a process of its own.

In the order data meets them: reading (rows of a file), formats (rows to examples), dataset (a file
becomes a dataset folder), starter and hub (a model becomes files), device (where to compute),
model_files (the files of a model) and base_model (files become a model), template (examples become tokens and labels), adapter (LoRA goes in
and comes out), arguments and loop (transformers.Trainer), callbacks and event_log (what the run says),
checkpoints (what a resume starts from), samples (answers before and after), run (the story of one run),
lora_trainer (the contract), failures (foreign errors become Problems), export, cli.
"""
