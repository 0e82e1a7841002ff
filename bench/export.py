"""How long an export takes beside copying the files, and the memory of its process, for shapes of Qwen2.5.

Random weights in bf16, and a random adapter on all linear layers. Each way is a process of its own, since its peak counts.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

_ALL: dict[str, Any] = {
    "vocab_size": 151936, "num_key_value_heads": 2, "max_position_embeddings": 32768, "tie_word_embeddings": True,
}  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "Qwen2.5-0.5B": {
        **_ALL, "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
    },
    "16 layers of Qwen2.5-1.5B": {
        **_ALL, "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 16, "num_attention_heads": 12,
    },
}  # fmt: skip
WAYS = ("idle", "copy", "merged f16", "merged bf16", "merged f32", "gguf f16", "gguf q8_0", "gguf q4_0")


def make_model(place: Path, shape: dict[str, Any]) -> None:
    """Write the model in shards of 350 MB, with a small tokenizer, and its adapter."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    from tests.support.tiny_families import tiny_family

    tiny_family(place / "base", "qwen2")  # for its tokenizer
    (place / "base" / "model.safetensors").unlink()
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("qwen2", **shape), dtype=torch.bfloat16)
    model.save_pretrained(place / "base", max_shard_size="350MB")
    adapted = get_peft_model(model, LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    adapted.save_pretrained(place / "adapter")


def measure(place: Path, way: str) -> None:
    """Do one thing, and print its seconds and the peak memory of this process, in MB."""
    from trainer.artifacts.gguf_file import GGUFFile
    from trainer.artifacts.merged_folder import MergedFolder
    from trainer.artifacts.merged_model import MergedModel
    from trainer.models.model_files import ModelFiles
    from trainer.tokens.tokenizer import load_template

    base, adapter, out = place / "base", place / "adapter", place / "out"
    template = load_template(ModelFiles(base, "bench", None), "bench")
    kind, _, number_format = way.partition(" ")
    begun = time.perf_counter()
    if kind == "copy":
        subprocess.run(["cp", "-r", str(base), str(out)], check=True)
        subprocess.run(["sync"], check=True)
    elif kind == "merged":
        MergedFolder(MergedModel(base, adapter), number_format).write(out, base, adapter, template, lambda *_: None)
    elif kind == "gguf":
        GGUFFile(MergedModel(base, adapter), number_format).write(out, "Bench", base, template, lambda *_: None)
    seconds = time.perf_counter() - begun
    print(json.dumps({"seconds": seconds, "peak": peak_megabytes()}))


def peak_megabytes() -> float:
    """Return this process's peak memory. (`ru_maxrss` of a child begins with its parent's.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1000  # type: ignore[index]


def main() -> None:
    for name, shape in SHAPES.items():
        measure_all(name, shape)


def measure_all(name: str, shape: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        make_model(place, shape)
        size = sum(path.stat().st_size for path in (place / "base").glob("*.safetensors"))
        largest = 4 * shape["vocab_size"] * shape["hidden_size"] / 1e6
        print(f"{name}: {size / 1e6:.0f} MB in bf16; the largest tensor is {largest:.0f} MB in fp32")
        idle = 0.0
        for way in WAYS:
            command = [sys.executable, __file__, str(place), way]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            idle = idle or found["peak"]
            print(f"{way:12} {found['seconds']:6.1f} s   {found['peak'] - idle:6.0f} MB above the idle process")
            subprocess.run(["rm", "-rf", str(place / "out")], check=True)


if __name__ == "__main__":
    measure(Path(sys.argv[1]), sys.argv[2]) if len(sys.argv) > 1 else main()
