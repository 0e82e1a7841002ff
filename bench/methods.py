"""Tokens per second, memory and learning of the preference methods: ours beside TRL's trainers, on the same pairs.

python bench/methods.py [--data FILE] [--rounds 3] [--pairs 24] [--ways "dpo: ours,dpo: trl,..."]

Each way runs in a process of its own, in turn, round after round; ratios are made within a round. Without --data the
pairs are made up. Tokens are those of both answers with their prompts, without padding, on both sides. "trl" is TRL with
its defaults, which recompute activations; "trl; kept" keeps them, as ours does. Results: docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.train_ways import LORA, Meter, Watch
from interfaces.folders import Home

ROOT = Path(__file__).resolve().parent.parent
LENGTH, BATCH, RATE, SEED = 512, 4, 1e-4, 42
USUAL = "dpo: ours,dpo: trl,dpo: trl; kept,kto: ours,kto: trl,orpo: ours,orpo: trl"


def pairs_of(data: Path | None, count: int) -> list[dict[str, str]]:
    """Prompts with a chosen and a rejected answer, of which both sides have at most `LENGTH` tokens."""
    if data is None:
        words = [
            "the",
            "lantern",
            "charges",
            "in",
            "forty-seven",
            "minutes",
            "of",
            "sunshine",
            "and",
            "glows",
            "for",
            "nine",
            "nights",
        ]
        answer = [" ".join((words * 30)[: 40 + 17 * (number % 11)]) for number in range(2 * count)]
        return [
            {"prompt": f"Tell me about number {at}.", "chosen": answer[at], "rejected": answer[-at - 1]}
            for at in range(count)
        ]
    found = []
    for row in json.loads(data.read_text(encoding="utf-8")):
        asked = [turn["value"] for turn in row["conversations"]]
        if len(asked) == 1 and sum(map(len, (*asked, row["chosen"]["value"], row["rejected"]["value"]))) < 3 * LENGTH:
            found.append({"prompt": asked[0], "chosen": row["chosen"]["value"], "rejected": row["rejected"]["value"]})
    return found[:count]


def ours(job: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """Our loop with the run's own parts, and TRL's optimizer settings."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, TrainingArguments

    from interfaces.config import FineTuneConfig
    from trainer.kernels.fast_paths import use_fast_paths
    from trainer.kernels.lora_linear import use_lora_linear
    from trainer.methods.method import create_method
    from trainer.tokens.batches import flat_batch
    from trainer.training.loop import TrainingLoop

    base = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.bfloat16)
    paths = use_fast_paths(base, "starter")
    base.requires_grad_(False)
    torch.manual_seed(SEED)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **LORA))
    use_lora_linear(model)
    config = FineTuneConfig(method=job["method"], max_length=LENGTH, per_device_train_batch_size=BATCH)
    method = create_method(config, chunked=paths.logits == "trained", collate=flat_batch)
    watch = Watch(meter)
    rows = sequences(job)
    loop = TrainingLoop(
        model=model, args=TrainingArguments(**arguments(job, {})), train_dataset=rows, data_collator=None, method=method, callbacks=[watch]
    )  # fmt: skip
    meter.start()
    loop.train()
    return {"losses": watch.losses, "tokens": tokens_of(rows)}


def theirs(job: dict[str, Any], meter: Meter, kept: bool) -> dict[str, Any]:
    """TRL's trainer on the same tokens."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    kind, tokenizer = job["method"], AutoTokenizer.from_pretrained(job["model"])
    if kind == "orpo":
        from trl.experimental.orpo import ORPOConfig as Config
        from trl.experimental.orpo import ORPOTrainer as Trainer
    elif kind == "dpo":
        from trl import DPOConfig as Config
        from trl import DPOTrainer as Trainer
    else:
        from trl import KTOConfig as Config
        from trl import KTOTrainer as Trainer
    said = [
        {
            "prompt": [{"role": "user", "content": pair["prompt"]}],
            **{side: [{"role": "assistant", "content": pair[side]}] for side in ("chosen", "rejected")},
        }
        for pair in job["pairs"]
    ]
    if kind == "kto":
        said = [
            {"prompt": pair["prompt"], "completion": pair[side], "label": side == "chosen"}  # type: ignore[dict-item]
            for pair in said
            for side in ("chosen", "rejected")
        ]
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.bfloat16)
    torch.manual_seed(SEED)
    watch = Watch(meter)
    more = {"gradient_checkpointing": False} if kept else {}
    trainer = Trainer(
        model=model, args=Config(max_length=LENGTH, **arguments(job, more)), train_dataset=Dataset.from_list(said),
        processing_class=tokenizer, peft_config=LoraConfig(task_type="CAUSAL_LM", **LORA), callbacks=[watch],
    )  # fmt: skip
    meter.start()
    trainer.train()
    return {"losses": watch.losses, "tokens": tokens_of(sequences(job))}


def arguments(job: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {
        "output_dir": job["folder"], "use_cpu": True, "num_train_epochs": 1, "learning_rate": RATE, "seed": SEED,
        "per_device_train_batch_size": BATCH, "logging_steps": 1, "save_strategy": "no", "report_to": "none",
        "disable_tqdm": True, "remove_unused_columns": False, **more,
    }  # fmt: skip


def sequences(job: dict[str, Any]) -> list[Any]:
    """Our tokens of the pairs, as the method takes them."""
    from interfaces.example import Example, Message
    from trainer.models.model_files import ModelFiles
    from trainer.tokens.token_store import IGNORE_INDEX
    from trainer.tokens.tokenizer import load_template

    template = load_template(ModelFiles(Path(job["model"]), "starter", None), "starter")

    def of(prompt: str, answer: str) -> dict[str, Any]:
        turns = (Message(role="user", content=prompt), Message(role="assistant", content=answer, train=True))
        made = template.tokens(Example(messages=turns, row=1))
        labels = [
            token if on else IGNORE_INDEX for token, on in zip(made.ids.tolist(), made.trained.tolist(), strict=True)
        ]
        return {"input_ids": made.ids.tolist()[:LENGTH], "labels": labels[:LENGTH]}

    both = [[of(pair["prompt"], pair[side]) for side in ("chosen", "rejected")] for pair in job["pairs"]]
    if job["method"] == "kto":
        return [{**one, "desirable": not place} for pair in both for place, one in enumerate(pair)]
    return both


def tokens_of(rows: list[Any]) -> int:
    return sum(tokens_of(row) if isinstance(row, list) else len(row["input_ids"]) for row in rows)


def run_way(way: str, job: dict[str, Any]) -> dict[str, Any]:
    """What a fresh process measured."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps({**job, "way": way, "folder": folder}), encoding="utf-8")
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "2"}
        command = [sys.executable, __file__, "--job", str(path)]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if ran.returncode:
            sys.exit(f"{way}: {ran.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
        print(f"  {way}: {found['tokens_per_second']:.1f} tokens/s", file=sys.stderr, flush=True)
        return found


def child(path: Path) -> None:
    job = json.loads(path.read_text(encoding="utf-8"))
    job["method"], _, way = job["way"].partition(": ")
    meter = Meter()
    found = ours(job, meter) if way == "ours" else theirs(job, meter, kept="kept" in way)
    result = {
        "tokens_per_second": found["tokens"] / meter.seconds, "memory": meter.peak - meter.base, "tokens": found["tokens"],
        "first": found["losses"][0], "last": statistics.fmean(found["losses"][-3:]),
    }  # fmt: skip
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--ways", default=USUAL)
    parser.add_argument("--job", type=Path)
    asked = parser.parse_args()
    if asked.job:
        return child(asked.job)
    job = {"model": str(Home.of(None, os.environ).starter), "pairs": pairs_of(asked.data, asked.pairs)}
    ways = [way.strip() for way in asked.ways.split(",")]
    rounds = [{way: run_way(way, job) for way in ways} for _ in range(asked.rounds)]
    print(f"{len(job['pairs'])} pairs, {asked.rounds} rounds; medians, and ratios to ours within a round")
    for way in ways:
        found, own = [one[way] for one in rounds], way.partition(":")[0] + ": ours"
        speed, memory = (statistics.median(one[name] for one in found) for name in ("tokens_per_second", "memory"))
        line = f"{way:16} {speed:7.1f} tokens/s  {memory / 1e9:5.2f} GB above load  loss {found[0]['first']:.4f} to {found[0]['last']:.4f}"
        if own in ways and way != own:
            faster = statistics.median(one[own]["tokens_per_second"] / one[way]["tokens_per_second"] for one in rounds)
            share = statistics.median(one[own]["memory"] / one[way]["memory"] for one in rounds)
            line += f"  ours: {faster:.2f} x as fast, {share:.2f} x the memory"
        print(line)
    return None


if __name__ == "__main__":
    main()
