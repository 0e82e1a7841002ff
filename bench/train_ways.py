"""One way of training, in a process of its own: prints one JSON line with what it measured. `bench/train.py` starts it.

Every way gets the same rows, max_length 512, batches of 4, one epoch, AdamW at 2e-4 falling to 0 without warm-up, LoRA
r=8 alpha=16 on all linear layers without dropout, seed 42. Tokens are those that are no padding. Seconds run from the
start of the loop to the end of its last step. Memory is the peak above what is held when the loop starts.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from interfaces.config import FineTuneConfig
from interfaces.events import Event, Step
from interfaces.folders import Home
from trainer.training.event_log import EventLog

BATCH, RATE, SEED = 4, 2e-4, 42
ON_CARD = False
"""Whether the job is one for CUDA's first card."""
LORA = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": "all-linear"}
PRODUCTS = ("aten::mm", "aten::bmm", "aten::addmm", "aten::addmm_", "aten::baddbmm", "aten::linear")


class Meter:
    """Seconds and memory from `start` to the last `lap`."""

    def __init__(self) -> None:
        self.base = self.peak = 0
        self.begun = self.seconds = 0.0

    def start(self) -> None:
        if ON_CARD:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self.base = torch.cuda.memory_allocated()
        else:
            Path("/proc/self/clear_refs").write_text("5")  # the kernel's peak begins anew
            self.base = self._held("VmRSS")
        self.begun = time.perf_counter()

    def lap(self) -> None:
        if ON_CARD:
            torch.cuda.synchronize()
        self.seconds = time.perf_counter() - self.begun
        self.peak = torch.cuda.max_memory_allocated() if ON_CARD else self._held("VmHWM")

    @staticmethod
    def _held(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


class Watch(TrainerCallback):
    """The meter and the losses of a stock Trainer."""

    def __init__(self, meter: Meter) -> None:
        self.meter, self.losses = meter, []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.meter.lap()

    def on_log(self, _args: Any, _state: Any, _control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])


def stock_arguments(folder: Path, **more: Any) -> dict[str, Any]:
    """What a stock Trainer is given; all else is its default."""
    return {
        "output_dir": str(folder / "stock"), "use_cpu": not ON_CARD, "num_train_epochs": 1, "learning_rate": RATE,
        "per_device_train_batch_size": BATCH, "logging_steps": 1, "save_strategy": "no", "report_to": "none",
        "seed": SEED, "disable_tqdm": True, **more,
    }  # fmt: skip


def plain(job: dict[str, Any], meter: Meter, best: bool, bits: int = 16) -> dict[str, Any]:
    """`transformers.Trainer` on padded batches; at its best grouped by length, with LoRA in bf16."""
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    options: dict[str, Any] = {}
    if bits != 16:
        four = {
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": torch.bfloat16,
        }
        chosen = BitsAndBytesConfig(load_in_8bit=True) if bits == 8 else BitsAndBytesConfig(load_in_4bit=True, **four)
        options = {"quantization_config": chosen, "device_map": {"": "cuda:0" if ON_CARD else "cpu"}}
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.bfloat16, **options)
    torch.manual_seed(SEED)
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **LORA), autocast_adapter_dtype=not best)
    rows = [tokens_of(row, tokenizer, job["length"]) for row in job["rows"]]
    more = {"train_sampling_strategy": "group_by_length"} if best else {}
    watch = Watch(meter)
    trainer = Trainer(
        model=adapted, args=TrainingArguments(**stock_arguments(Path(job["folder"]), **more)), train_dataset=rows,
        data_collator=DataCollatorForSeq2Seq(tokenizer), callbacks=[watch],
    )  # fmt: skip
    touch(adapted)
    meter.start()
    trainer.train()
    return {"tokens": sum(len(row["input_ids"]) for row in rows), "losses": watch.losses, "model": adapted}


def trl(job: dict[str, Any], meter: Meter, best: bool) -> dict[str, Any]:
    """TRL's `SFTTrainer`: its defaults without checkpointing; at its best packed, with the model in bf16."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = Dataset.from_list(
        [{"prompt": row["messages"][:-1], "completion": row["messages"][-1:]} for row in job["rows"]]
    )
    more = {"packing": True, "model_init_kwargs": {"dtype": "bfloat16"}} if best else {}
    arguments = stock_arguments(Path(job["folder"]), max_length=job["length"], gradient_checkpointing=False, **more)
    watch = Watch(meter)
    torch.manual_seed(SEED)
    trainer = SFTTrainer(
        model=job["model"], args=SFTConfig(**arguments), train_dataset=rows, callbacks=[watch],
        peft_config=LoraConfig(task_type="CAUSAL_LM", **LORA),
    )  # fmt: skip
    touch(trainer.model)
    meter.start()
    trainer.train()
    return {"tokens": sum(map(len, trainer.train_dataset["input_ids"])), "losses": watch.losses, "model": trainer.model}


class MeteredLog(EventLog):
    """Our own events, metered; and a profile of the steps after the second, where one is asked for."""

    meter: Meter
    spent = 0.0
    """Seconds that writing the steps' events took."""
    profiler: torch.profiler.profile | None = None

    def phase(self, phase: Any, *more: Any) -> None:
        super().phase(phase, *more)
        if phase == "train":
            self.meter.start()

    def append(self, event: Event) -> bool:
        begun = time.perf_counter()
        said = super().append(event)
        if isinstance(event, Step):
            self.spent += time.perf_counter() - begun
            self.meter.lap()
            if self.profiler and event.step == 2:
                self.profiler.start()
            if self.profiler and event.step == event.total_steps:
                self.profiler.stop()
        return said


def ours(job: dict[str, Any], meter: Meter, profiled: bool = False, **settings: Any) -> dict[str, Any]:
    """The product: one run through `run_training`, as `finetune train` makes it."""
    from interfaces.history import RunHistory
    from trainer.training.run import run_training
    from trainer.training.stop import StopSignal

    home = Home(Path(job["folder"]) / "home")
    rows = Path(job["folder"]) / "rows.jsonl"
    rows.write_text("".join(json.dumps({"messages": row["messages"]}) + "\n" for row in job["rows"]))
    lora = {**LORA, **settings.pop("lora", {})}
    config = FineTuneConfig(
        model_name=job["model"], dataset=str(rows), max_length=job["length"], per_device_train_batch_size=BATCH, lora=lora,
        gradient_accumulation_steps=1, num_train_epochs=1, learning_rate=RATE, warmup_steps=0, seed=SEED, save_steps=0,
        validation_split=0, bad_rows="skip", cpu_threads=job["threads"], device="cuda" if ON_CARD else "cpu", **{"bf16": True, **settings},
    )  # fmt: skip
    folder = home.create_run()
    log = MeteredLog(folder.events, 1)
    log.meter = meter
    if profiled:
        log.profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
    run_training(config, RunHistory(folder), log, StopSignal(folder, 1))
    lines = folder.events.read_text().splitlines()
    steps = [event for event in map(json.loads, lines) if event["kind"] == "step"]
    reported: dict[str, Any] = {
        "tokens": sum(step["tokens"] for step in steps), "losses": [step["loss"] for step in steps],
        "logging_share": log.spent / meter.seconds,
    }  # fmt: skip
    if log.profiler:
        reported["profile"] = shares(log.profiler)
    base = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.bfloat16)
    return {**reported, "model": PeftModel.from_pretrained(base, folder.adapter)}


WAYS: dict[str, Any] = {
    "ours": ours,
    "ours, bf16 LoRA": functools.partial(ours, lora={"autocast_adapter_dtype": False}),
    "ours, packed": functools.partial(ours, packing=True),
    "ours, 8 bit": functools.partial(ours, load_in_8bit=True),
    "ours, 4 bit": functools.partial(ours, load_in_4bit=True),
    "ours, fp32": functools.partial(ours, bf16=False),
    "ours, profiled": functools.partial(ours, profiled=True),
    "plain": functools.partial(plain, best=False),
    "plain, best": functools.partial(plain, best=True),
    "plain, 8 bit": functools.partial(plain, best=False, bits=8),
    "plain, 4 bit": functools.partial(plain, best=False, bits=4),
    "trl": functools.partial(trl, best=False),
    "trl, packed": functools.partial(trl, best=True),
}


def touch(model: Any) -> None:
    """A first forward of four tokens: weights that were only mapped are in memory when the meter starts."""
    with torch.no_grad():
        model(input_ids=torch.arange(4, device=model.device)[None])


def shares(profiler: torch.profiler.profile) -> list[tuple[str, float, int]]:
    """(operator, share of all time spent in operators, calls), largest first."""
    events = [event for event in profiler.key_averages() if event.self_cpu_time_total > 0]
    whole = sum(event.self_cpu_time_total for event in events)
    reported = [(event.key, event.self_cpu_time_total / whole, event.count) for event in events]
    return sorted(reported, key=lambda one: -one[1])


def tokens_of(row: dict[str, Any], tokenizer: Any, length: int) -> dict[str, list[int]]:
    """A row's ids, of which the answer is trained on."""
    options = {"tokenize": True, "return_dict": True}
    ids = tokenizer.apply_chat_template(row["messages"], **options)["input_ids"][:length]
    prompt = tokenizer.apply_chat_template(row["messages"][:-1], add_generation_prompt=True, **options)["input_ids"]
    labels = [-100] * min(len(prompt), len(ids)) + ids[len(prompt) :]
    return {"input_ids": ids, "labels": labels, "attention_mask": [1] * len(ids)}


def measured_loss(model: Any, job: dict[str, Any]) -> float:
    """The mean loss per learned token of rows that were not trained, by the model's own code, one row at a time."""
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    total, count = 0.0, 0
    model.eval()
    for row in job["held_out"]:
        made = tokens_of(row, tokenizer, job["length"])
        learned = sum(label != -100 for label in made["labels"])
        with torch.no_grad():
            batch = {key: torch.tensor([value], device=model.device) for key, value in made.items()}
            total += model(**batch).loss.item() * learned
        count += learned
    return total / count if count else float("nan")


def main() -> None:
    global ON_CARD
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    ON_CARD = job.get("device") == "cuda"
    torch.set_num_threads(job["threads"])
    meter = Meter()
    reported = WAYS[job["way"]](job, meter)
    model = reported.pop("model")
    reported.update(
        tokens_per_second=reported["tokens"] / meter.seconds, memory=meter.peak - meter.base, held=meter.base,
        held_out_loss=measured_loss(model, job),
    )  # fmt: skip
    print(json.dumps(reported))


if __name__ == "__main__":
    main()
