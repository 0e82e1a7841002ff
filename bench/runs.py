"""How far the estimate of whole runs is off: settings drawn at random, each a real run of `finetune train`, on this CPU.

python bench/runs.py [--settings 24] [--method sft] [--tuning lora] [--seed N] [--steps 8] [--starter FOLDER] [--json FILE]

A run's measured peak stands beside its estimate with its own rows, as its page and `finetune doctor` show them; nothing is
corrected by earlier runs. The models are the starter and Qwen2-shaped random ones with its tokenizer. Afterwards it is
looked at what three runs with short rows teach about one with full rows. Results: docs/estimate.md.
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
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from estimate import kind_of  # noqa: E402

from interfaces.folders import Home  # noqa: E402
from interfaces.method_settings import METHODS  # noqa: E402
from studio.sizing.calibration import estimate_of_run  # noqa: E402

SHAPES = {"5M": (256, 704, 4, 8, 2), "40M": (512, 1408, 8, 8, 4), "110M": (768, 2048, 12, 12, 4)}
"""hidden, intermediate, layers, heads, kv heads; the vocabulary is the starter's."""
WORDS = [
    "the",
    "lamp",
    "is",
    "lit",
    "at",
    "nine",
    "and",
    "the",
    "garden",
    "sleeps",
    "until",
    "the",
    "morning",
    "comes",
    "again",
]
MAKE = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config
torch.manual_seed(0)
starter, jobs = json.loads(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(starter)
for place, options in jobs.items():
    config = Qwen2Config(**options, vocab_size=len(tokenizer), max_position_embeddings=4096, eos_token_id=tokenizer.eos_token_id)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(place)
    tokenizer.save_pretrained(place)
"""


def finetune(*arguments: str | Path, home: Home) -> subprocess.CompletedProcess[str]:
    """The product's own command, of this tree, installed or not."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", "from studio.cli.main import main; main()", *map(str, arguments)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "FINETUNE_HOME": str(home.path), "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip


def make_models(folder: Path, starter: Path) -> dict[str, str]:
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    jobs = {str(folder / name): dict(zip(names, shape, strict=True)) for name, shape in SHAPES.items()}
    subprocess.run([sys.executable, "-c", MAKE, json.dumps([str(starter), jobs])], check=True, capture_output=True)
    return {"starter": "starter", **{name: str(folder / name) for name in SHAPES}}


def write_rows(path: Path, draw: random.Random, longest: int, rows: int, kind: str) -> None:
    """Rows as a kind of method takes them, with answers of about up to `longest` tokens together with their questions."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            told, other = (
                " ".join(draw.choices(WORDS, k=max(draw.randint(longest // 3, longest) - 30, 4))) for _ in range(2)
            )
            row: dict[str, Any] = {"prompt": f"Tell story number {number}.", "completion": told}
            if kind == "pairs":
                row = {"prompt": row["prompt"], "chosen": told, "rejected": other}
            elif kind == "labels":
                row["label"] = number % 2 == 0
            elif kind == "texts":
                row = {"text": told}
            file.write(json.dumps(row) + "\n")


def draw_setting(
    draw: random.Random, models: dict[str, str], method: str = "sft", tuning: str = "lora"
) -> dict[str, Any]:
    kind = draw.choice(
        ["bf16", "fp32", "8-bit", "4-bit"] if tuning == "lora" else ["bf16", "bf16", "fp32", "no masters"]
    )
    longest = draw.choice([96, 192, 384, 768])
    batch = draw.choice([1, 2, 4, 8]) if longest < 700 else draw.choice([1, 2, 4])
    return {
        "model_name": models[draw.choice(list(models))], "max_length": longest, "method": method,
        "per_device_train_batch_size": max(batch, METHODS[method]().least_batch),
        "long_rows": "truncate" if METHODS[method].generates else "drop",
        "gradient_accumulation_steps": draw.choice([1, 2]), "gradient_checkpointing": draw.random() < 0.4,
        "bf16": kind != "fp32", "load_in_8bit": kind == "8-bit", "load_in_4bit": kind == "4-bit",
        "lora": {"r": draw.choice([4, 16, 64])}, "tuning": tuning, "master_weights": kind != "no masters",
    }  # fmt: skip


def train(home: Home, config: dict[str, Any], draw: random.Random, longest: int, rows: int) -> dict[str, Any]:
    """The result of a real run that sees each of its rows, of up to `longest` tokens, once."""
    with tempfile.TemporaryDirectory(dir=home.path) as place:
        dataset, file = Path(place) / "rows.jsonl", Path(place) / "config.yaml"
        write_rows(dataset, draw, longest, rows, METHODS[config["method"]].rows)
        once = {"dataset": str(dataset), "num_train_epochs": 1, "validation_split": 0, "save_steps": 0}
        file.write_text(json.dumps({**config, **once}))
        done = finetune("train", file, "--json", home=home)
    if done.returncode:
        raise SystemExit(f"{config}\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run(home: Home, config: dict[str, Any], steps: int, draw: random.Random) -> dict[str, Any]:
    """What a run of so many steps with full rows took, and what was estimated for it, uncorrected, in bytes."""
    rows = steps * config["per_device_train_batch_size"] * config["gradient_accumulation_steps"]
    reported = train(home, config, draw, config["max_length"], rows)
    expected = estimate_of_run(home.run(reported["run"]))
    if expected is None:
        raise SystemExit(f"nothing was estimated for {reported['run']}")
    return {
        "config": config, "measured": reported["peak_memory_bytes"], "estimated": round(expected.comparable_bytes / expected.correction),
        "parts": expected.bytes,
    }  # fmt: skip


def doctor(home: Home) -> float:
    """The correction that the runs of a home have taught."""
    reported = json.loads(finetune("doctor", "--json", home=home).stdout)
    return float(reported["estimates"]["correction"])


def fresh_home(place: Path, name: str, starter: Path) -> Home:
    home = Home(place / name)
    home.models.mkdir(parents=True)
    home.starter.symlink_to(starter, target_is_directory=True)
    return home


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=int, default=24)
    parser.add_argument(
        "--method", default="sft", choices=METHODS, help="the learning of short rows is looked at for sft"
    )
    parser.add_argument("--tuning", default="lora", choices=["lora", "full"])
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 20))
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--starter", type=Path, default=Home.of(None, os.environ).starter)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    draw, records = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as place:
        models = make_models(Path(place), options.starter)
        home = fresh_home(Path(place), "drawn", options.starter)
        for number in range(options.settings):
            record = run(home, draw_setting(draw, models, options.method, options.tuning), options.steps, draw)
            records.append(record)
            config, error = record["config"], record["estimated"] / record["measured"] - 1
            kind = kind_of(config)
            rows = f"{config['per_device_train_batch_size']} x {config['max_length']}"
            print(
                f"{number + 1:3} {Path(config['model_name']).name:8} {rows:8} {kind:5} {record['measured'] / 1e6:6.0f} MB {error:+6.1%}",
                flush=True,
            )
            if options.json:
                options.json.write_text(json.dumps(records))
        errors = [record["estimated"] / record["measured"] - 1 for record in records]
        print(f"median {statistics.median(map(abs, errors)):.1%}, from {min(errors):+.1%} to {max(errors):+.1%}")
        if options.method != "sft" or options.tuning != "lora":
            return
        home = fresh_home(Path(place), "short", options.starter)
        short = {
            "model_name": models["40M"],
            "method": "sft",
            "max_length": 1024,
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 1,
        }
        for _ in range(3):  # from the terminal nothing is known before of rows far shorter than max_length
            train(home, short, draw, 60, 48)
        full = run(home, short, 4, draw)
        print(
            f"after three runs with short rows: correction {doctor(home):.3f}; a run with full rows {full['estimated'] / full['measured'] - 1:+.1%} uncorrected"
        )


if __name__ == "__main__":
    main()
