"""One setting trained for two steps in a process of its own: prints one JSON line with the memory it measured.

`bench/estimate.py` starts it. `tensor_bytes` is what all tensors hold at the worst moment of the second step: those that
exist when it begins, and every allocation of torch's allocator in it. `process_bytes` is the process's peak before any
of that was counted.
"""

from __future__ import annotations

import functools
import gc
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import Trainer, TrainerCallback, TrainingArguments

import trainer.training.run  # noqa: F401  the process is to hold what a run's process holds
from interfaces.config import FineTuneConfig
from interfaces.folders import RunFolder
from trainer.artifacts.adapter import add_adapter
from trainer.kernels.fast_paths import use_fast_paths
from trainer.models.base_model import load_model
from trainer.models.device import Compute, memory_bytes, peak_memory_bytes
from trainer.models.model_files import ModelFiles
from trainer.tokens.batches import flat_batch, padded_batch
from trainer.training.arguments import training_arguments
from trainer.training.loop import TrainingLoop

COUNTED_STEP = 2


class Counter(TrainerCallback):
    """Counts every allocation of one step."""

    def __init__(self) -> None:
        self.process = self.held = self.tensors = self.loaded = self.load_peak = 0
        self.events: list[tuple[int, int]] = []
        self.profiler: Any = None

    def on_step_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if state.global_step == 0:
            self.loaded, self.load_peak = memory_bytes(torch.device("cpu")), peak_memory_bytes(torch.device("cpu"))
        if state.global_step == COUNTED_STEP - 1:
            self.process = peak_memory_bytes(torch.device("cpu"))
            self.held = held_by_tensors()
            self.profiler = torch.profiler.profile(
                activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
            )
            self.profiler.start()

    def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if state.global_step == COUNTED_STEP:
            self.profiler.stop()
            found = self.profiler.profiler.kineto_results.events()
            self.events = sorted((event.start_ns(), event.nbytes()) for event in found if event.name() == "[memory]")
            now = peak = self.held
            for _time, size in self.events:
                now += size
                peak = max(peak, now)
            self.tensors = peak


def held_by_tensors() -> int:
    """Bytes of all different storages that any tensor of this process holds."""
    gc.collect()
    sizes = {}
    for thing in gc.get_objects():
        if isinstance(thing, torch.Tensor):
            for tensor in (thing, thing.grad if thing.is_leaf else None):
                if tensor is not None:
                    storage = tensor.untyped_storage()
                    sizes[storage.data_ptr()] = storage.nbytes()
    return sum(sizes.values())


def rows_of(job: dict[str, Any], vocabulary: int) -> list[dict[str, list[int]]]:
    """Random rows of the asked lengths, again and again; of each the last part is trained on."""
    generator = torch.Generator().manual_seed(job["seed"])
    rows = []
    for length in job["lengths"] * COUNTED_STEP * job["config"]["gradient_accumulation_steps"]:
        ids = torch.randint(1, vocabulary, (length,), generator=generator).tolist()
        read = length - round(length * job["trained_share"])
        rows.append({"input_ids": ids, "labels": [-100] * read + ids[read:]})
    return rows


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    config = FineTuneConfig.model_validate(job["config"])
    dtype = torch.bfloat16 if config.bf16 else torch.float32
    compute = Compute(torch.device("cpu"), dtype, job["threads"])
    files = ModelFiles(Path(config.model_name), "bench", None)
    model = load_model(files, config, compute)
    ours = job["loss"] == "trained"
    fast_paths = use_fast_paths(model, "bench") if ours else None
    adapted = add_adapter(model, config, files) if ours else plain_adapter(model, config)
    counter = Counter()
    rows = rows_of(job, model.config.vocab_size)
    with tempfile.TemporaryDirectory() as place:
        arguments = training_arguments(config, RunFolder(Path(place)), compute, evaluates=False)
        arguments.train_sampling_strategy = "sequential"
        if ours:
            collator: Any = (
                flat_batch if fast_paths.batches == "flat" else functools.partial(padded_batch, pad_token_id=0)
            )
            loop: Any = TrainingLoop(
                model=adapted, args=arguments, data_collator=collator, train_dataset=rows, callbacks=[counter]
            )
        else:
            loop = plain_trainer(adapted, arguments, rows, counter)
        loop.train()
    reported = {
        "tensor_bytes": counter.tensors,
        "process_bytes": counter.process,
        "held_bytes": counter.held,
        "loaded_bytes": counter.loaded,
        "load_peak_bytes": counter.load_peak,
        "forward": [fast_paths.batches, fast_paths.logits] if fast_paths else [],
    }
    if job.get("trace"):
        reported["trace"] = counter.events
    print(json.dumps(reported))


def plain_adapter(model: Any, config: FineTuneConfig) -> Any:
    """PEFT's own layers, as it makes them."""
    model.requires_grad_(False)
    if config.gradient_checkpointing:
        model.enable_input_require_grads()
    lora = config.lora
    settings = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=lora.target_modules,
    )
    return get_peft_model(model, settings, autocast_adapter_dtype=lora.autocast_adapter_dtype)


def plain_trainer(model: Any, arguments: TrainingArguments, rows: list[Any], counter: Counter) -> Trainer:
    """What others use: padded batches, and logits for every position."""
    collator = functools.partial(padded_batch, pad_token_id=0)
    return Trainer(model=model, args=arguments, data_collator=collator, train_dataset=rows, callbacks=[counter])


if __name__ == "__main__":
    main()
