"""How far the estimate is off: settings drawn at random, each trained for two steps in a process of its own.

python bench/estimate.py [--settings 30] [--seed N] [--loss trained,full] [--models starter,5M] [--starter FOLDER] [--json FILE]

The models are the starter and Qwen2-shaped random ones of four sizes. Each setting's tensor memory (every allocation of
torch's allocator in a step) stands beside what the estimate says; the memory of whole runs is for bench/runs.py. A fresh
seed is drawn at each run, and printed. Results: docs/estimate.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from interfaces.config import FineTuneConfig  # noqa: E402
from interfaces.device import Device  # noqa: E402
from interfaces.folders import Home  # noqa: E402
from studio.models.architecture import read_architecture  # noqa: E402
from studio.sizing.batch_lengths import Lengths  # noqa: E402
from studio.sizing.estimate import estimate  # noqa: E402

SHAPES = {
    "5M": (256, 704, 4, 8, 2, 8000, True), "40M": (512, 1408, 8, 8, 4, 32000, True),
    "226M": (896, 4864, 6, 14, 2, 151936, True), "257M": (1024, 2816, 12, 16, 16, 50000, False),
}  # fmt: skip
"""hidden, intermediate, layers, heads, kv heads, vocabulary, tied."""
MOST_BYTES = 14_000_000_000


MAKE = """
import json, sys, torch
from transformers import AutoModelForCausalLM, Qwen2Config
torch.manual_seed(0)
for place, options in json.loads(sys.argv[1]).items():
    AutoModelForCausalLM.from_config(Qwen2Config(**options), dtype=torch.bfloat16).save_pretrained(place)
"""


def make_models(folder: Path, names: list[str]) -> dict[str, Path]:
    """Random weights in these of the shapes above."""
    options = (
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "vocab_size",
        "tie_word_embeddings",
    )
    shapes = {
        str(folder / name): {**dict(zip(options, SHAPES[name], strict=True)), "max_position_embeddings": 4096}
        for name in names
    }
    subprocess.run([sys.executable, "-c", MAKE, json.dumps(shapes)], check=True, capture_output=True)
    return {name: folder / name for name in names}


def draw_setting(draw: random.Random, models: dict[str, Path], loss: str) -> dict[str, Any]:
    """One setting, as likely as any other in the issue's ranges."""
    model = draw.choice(list(models))
    batch, longest = draw.randint(1, 8), round(2 ** draw.uniform(7, 11))
    lengths = [longest] + [draw.randint(max(longest // 4, 16), longest) for _ in range(batch - 1)]
    kind = draw.choice(["bf16", "fp32", "8-bit", "4-bit"])
    config = {
        "model_name": str(models[model]), "dataset": "random", "max_length": longest, "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": draw.choice([1, 2]), "gradient_checkpointing": draw.random() < 0.5,
        "bf16": kind != "fp32", "load_in_8bit": kind == "8-bit", "load_in_4bit": kind == "4-bit", "max_steps": 2, "warmup_steps": 0,
        "lora": {"r": draw.choice([4, 8, 16, 32, 64]), "lora_dropout": draw.choice([0, 0, 0.05])},
    }  # fmt: skip
    share = round(draw.uniform(0.3, 1.0), 2)
    return {
        "model": model,
        "config": config,
        "lengths": lengths,
        "loss": loss,
        "trained_share": share,
        "seed": draw.randrange(1 << 30),
        "threads": os.cpu_count() or 1,
    }


def estimated(job: dict[str, Any]) -> tuple[int, int]:
    """(tensor bytes, process bytes) by the estimate, which knows the rows of the batch."""
    shape = read_architecture(json.loads((Path(job["config"]["model_name"]) / "config.json").read_text()))
    lengths = Lengths(tuple(job["lengths"]), (1,) * len(job["lengths"]), job["trained_share"])
    device = Device("cpu", "this machine", 1 << 40, 1 << 40, bf16=True)
    found = estimate(shape, FineTuneConfig.model_validate(job["config"]), device, lengths, job["loss"])
    return found.tensor_bytes, found.total_bytes


def measure(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "step_memory.py"), str(path)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{job}\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def kind_of(config: dict[str, Any]) -> str:
    """The format in which a setting's base lies in memory."""
    if config["load_in_8bit"] or config["load_in_4bit"]:
        return "8-bit" if config["load_in_8bit"] else "4-bit"
    return "bf16" if config["bf16"] else "fp32"


def words(job: dict[str, Any]) -> str:
    config = job["config"]
    kind = kind_of(config)
    dropout = " dropout" if config["lora"]["lora_dropout"] else ""
    checkpointing = " checkpointing" if config["gradient_checkpointing"] else ""
    return f"{job['loss']:7} {job['model']:7} {len(job['lengths'])} x {max(job['lengths']):4} {kind} r={config['lora']['r']} x{config['gradient_accumulation_steps']}{checkpointing}{dropout}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=int, default=30)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 20))
    parser.add_argument("--loss", default="trained,full")
    parser.add_argument("--starter", type=Path, default=Home.of(None, os.environ).starter)
    parser.add_argument("--models", default="starter," + ",".join(SHAPES), help="draw among these")
    parser.add_argument("--most-tokens", type=int, default=8 * 2048, help="draw no larger batch")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    records = []
    with tempfile.TemporaryDirectory() as place:
        names = options.models.split(",")
        models = make_models(Path(place), [name for name in names if name != "starter"])
        if "starter" in names:
            models["starter"] = options.starter
        for loss in options.loss.split(","):
            draw = random.Random(f"{options.seed}")
            for number in range(options.settings):
                job = draw_setting(draw, models, loss)
                while estimated(job)[1] > MOST_BYTES or sum(job["lengths"]) > options.most_tokens:
                    job = draw_setting(draw, models, loss)
                tensors, _ = estimated(job)
                seen = measure(job, Path(place))
                record = {
                    "job": job,
                    **seen,
                    "tensor_error": tensors / seen["tensor_bytes"] - 1,
                }
                records.append(record)
                error = record["tensor_error"]
                print(f"{number + 1:3} {words(job):62} {seen['tensor_bytes'] / 1e6:7.0f} MB {error:+6.1%}", flush=True)
                if options.json:
                    options.json.write_text(json.dumps(records))
    for loss in options.loss.split(","):
        errors = [record["tensor_error"] for record in records if record["job"]["loss"] == loss]
        print(
            f"{loss:8} median {statistics.median(map(abs, errors)):.1%}, from {min(errors):+.1%} to {max(errors):+.1%}"
        )


if __name__ == "__main__":
    main()
