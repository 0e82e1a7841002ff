"""Tokens per second, memory and learning: our trainer beside the plain Trainer and TRL, on the same rows.

python bench/train.py [--data FILE] [--rounds 3] [--ways ours,plain,...] [--slice] [--scaling] [--profile]

Each way runs in a process of its own, in turn, round after round; ratios are made within a round. Without --data the
rows are our sample's; of a file the first 16 rows after those that are trained are held out. --slice replaces the
starter by two layers of Qwen2.5-0.5B's shape with its 151,936 tokens, of random weights. Results: docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "assets" / "samples" / "lumo-lantern.jsonl"
FIRST_ROW, ROWS, HELD_OUT = 100, 48, 16
USUAL = "ours,ours; bf16 LoRA,plain,plain; best,trl,trl; packed"
SLICE = {
    "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 2, "num_attention_heads": 14,
    "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True, "rope_theta": 1e6,
}  # fmt: skip


def read_rows(data: Path | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(rows to train, rows held out) as messages."""
    text = (data or SAMPLE).read_text(encoding="utf-8")
    rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
    made = [{"messages": _messages(row)} for row in rows]
    if data is None:
        return made[:84], made[84:]
    start = FIRST_ROW if len(made) >= FIRST_ROW + ROWS + HELD_OUT else 0
    return made[start : start + ROWS], made[start + ROWS : start + ROWS + HELD_OUT]


def _messages(row: dict[str, Any]) -> list[dict[str, str]]:
    if "messages" in row:
        return list(row["messages"])
    question = row["instruction"] + ("\n" + row["input"] if row.get("input") else "")
    return [{"role": "user", "content": question}, {"role": "assistant", "content": row["output"]}]


def rows_of_length(rows: int, tokens: int) -> list[dict[str, Any]]:
    """Rows of about so many tokens, of which all but the question are trained on."""
    answer = " ".join(["one two three four five six seven eight"] * 300).split()[: tokens - 20]
    made = [{"role": "assistant", "content": " ".join(answer)}]
    return [{"messages": [{"role": "user", "content": f"Count, number {n}."}, *made]} for n in range(rows)]


def make_slice(starter: Path, folder: Path) -> Path:
    """The large-vocabulary model, with the starter's tokenizer."""
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    Qwen2ForCausalLM(Qwen2Config(**SLICE)).to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(starter).save_pretrained(folder)
    return folder


def run_way(way: str, job: dict[str, Any]) -> dict[str, Any]:
    """What a fresh process measured."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps({**job, "way": way, "folder": folder}), encoding="utf-8")
        environment = {
            **os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false",
            "OMP_NUM_THREADS": str(job["threads"]),
        }  # fmt: skip
        command = [sys.executable, str(ROOT / "bench" / "train_ways.py"), str(path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"'{way}' failed:\n{done.stderr[-3000:]}")
        reported: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return reported


def spread(values: list[float], digits: int = 2) -> str:
    return f"{min(values):.{digits}f} / {statistics.median(values):.{digits}f} / {max(values):.{digits}f}"


def compare(ways: list[str], rounds: int, job: dict[str, Any]) -> None:
    """Rounds of all ways, and the ratios within each round."""
    reported: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in ways:
            reported[way].append(run_way(way, job))
            print(
                f"  round {number + 1}: {way}: {reported[way][-1]['tokens_per_second']:.0f} tokens/s", file=sys.stderr
            )
    print("\n| way | tokens/s (min / median / max) | memory above load | loss, first and last | held-out loss |")
    print("|---|---|---|---|---|")
    for way in ways:
        speeds = [one["tokens_per_second"] for one in reported[way]]
        memory = statistics.median(one["memory"] for one in reported[way]) / 1e6
        losses, held_out = reported[way][-1]["losses"], reported[way][-1]["held_out_loss"]
        print(f"| {way} | {spread(speeds, 0)} | {memory:.0f} MB | {losses[0]:.3f}, {losses[-1]:.3f} | {held_out:.4f} |")
    mine = [way for way in ways if way.startswith("ours")]
    if mine:
        print(f"\nWriting each step's event: {max(one['logging_share'] for one in reported[mine[0]]):.2%} of the time")
    others = [way for way in ways if way not in mine]
    if mine and others:
        print("\n| beside | " + " | ".join(f"{way}: speed | {way}: memory" for way in mine) + " |")
        print("|---" * (1 + 2 * len(mine)) + "|")
    for other in others if mine else []:
        cells = []
        for way in mine:
            pairs = list(zip(reported[way], reported[other], strict=True))
            cells.append(spread([one["tokens_per_second"] / two["tokens_per_second"] for one, two in pairs]))
            cells.append(spread([one["memory"] / two["memory"] for one, two in pairs]))
        print(f"| {other} | " + " | ".join(cells) + " |")


def scaling(job: dict[str, Any]) -> None:
    """Is twice the data twice the time?"""
    print("\n| rows | tokens a row | tokens | tokens/s | memory above load |")
    print("|---|---|---|---|---|")
    for rows, tokens in [(24, 128), (48, 128), (96, 128), (24, 512), (24, 2048)]:
        reported = run_way("ours", {**job, "rows": rows_of_length(rows, tokens), "held_out": [], "length": tokens + 32})
        speed, memory = reported["tokens_per_second"], reported["memory"] / 1e6
        print(f"| {rows} | {tokens} | {reported['tokens']} | {speed:.0f} | {memory:.0f} MB |")


def profile(job: dict[str, Any]) -> None:
    """Where our own step spends its time; the matrix products are the ceiling."""
    from train_ways import PRODUCTS

    shares = run_way("ours, profiled", job)["profile"]
    products = sum(share for name, share, _ in shares if name in PRODUCTS)
    print(f"\nMatrix products: {products:.0%} of the time spent in operators ({', '.join(PRODUCTS)})\n")
    print("| operator | share | calls |\n|---|---|---|")
    for name, share, calls in shares[:20]:
        print(f"| {name} | {share:.1%} | {calls} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="Alpaca rows or messages, JSON or JSONL; without it our sample")
    parser.add_argument("--model", type=Path, help="a model's folder; without it the starter")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--ways", default=USUAL, help="separated by commas, a way's own comma as ';'")
    parser.add_argument("--slice", action="store_true", help="two layers with a vocabulary of 151,936")
    parser.add_argument("--scaling", action="store_true", help="only: rows and lengths, doubled")
    parser.add_argument("--profile", action="store_true", help="only: our step, operator by operator")
    chosen = parser.parse_args()
    home = Path(os.environ.get("FINETUNE_HOME") or Path.home() / ".finetune-studio")
    model = chosen.model or home / "models" / "starter"
    rows, held_out = read_rows(chosen.data)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft", "trl"))
    print(f"{packages}; Python {platform.python_version()}; {chosen.threads} threads; {len(rows)} rows")
    work = Path(tempfile.mkdtemp(prefix="bench-train-"))
    try:
        place = make_slice(model, work / "slice") if chosen.slice else model
        job = {"model": str(place), "rows": rows, "held_out": held_out, "threads": chosen.threads, "length": 512}
        if chosen.scaling:
            scaling(job)
        elif chosen.profile:
            profile(job)
        else:
            compare([way.replace(";", ",").strip() for way in chosen.ways.split(",")], chosen.rounds, job)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
