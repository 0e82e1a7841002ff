"""What a CUDA card shows of the product, in six minutes: run it on the first one at hand, and keep its report.

python bench/gpu_check.py [--device cpu --tiny] [--out FOLDER] [--only NAMES]

report.json and report.md in FOLDER hold what was measured; a check that can't be done says why, and none hides another.
Models are of random weights with a tokenizer of bytes, so that nothing has to be fetched. `--device cpu --tiny` is the dry
form: every check on small models, to see that the checks themselves work. The exit code is 1 where a check has failed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import torch  # noqa: E402
from runs import draw_setting, finetune, run  # noqa: E402
from train import rows_of_length, run_way  # noqa: E402

from interfaces.events import Stopping, read_events  # noqa: E402
from interfaces.folders import Home, RunFolder  # noqa: E402
from studio.datasets.library import with_datasets  # noqa: E402
from studio.finetune_manager import FinetuneManager  # noqa: E402
from studio.processes.launcher import LocalLauncher  # noqa: E402
from studio.runs.state import run_state  # noqa: E402
from studio.runs.supervised_trainer import SupervisedTrainer, wait_until_gone  # noqa: E402

SHAPES = {
    "tiny": {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512},
    "0.5B": {"hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936},
    "1.5B": {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2, "vocab_size": 151936},
}  # fmt: skip
"""Those of Qwen2.5."""
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GIB = 1 << 30


@dataclass
class Bench:
    """What all checks share."""

    device: str
    tiny: bool
    place: Path
    home: Home
    models: dict[str, Path] = field(default_factory=dict)

    @property
    def shapes(self) -> list[str]:
        return ["tiny"] if self.tiny else ["0.5B", "1.5B"]

    def model(self, name: str) -> Path:
        if name not in self.models:
            self.models[name] = make_model(self.place / f"qwen-{name}", SHAPES[name])
        return self.models[name]


def make_model(folder: Path, shape: dict[str, int]) -> Path:
    """Random weights with a tokenizer of bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    ends = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=ends[2], pad_token=ends[0])
    tokenizer.add_special_tokens({"additional_special_tokens": ends[1:2]})
    tokenizer.chat_template = CHATML
    torch.manual_seed(0)
    config = Qwen2Config(
        **shape, max_position_embeddings=4096, tie_word_embeddings=True, rope_theta=1e6, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def machine(bench: Bench) -> dict[str, Any]:
    """What this is measured on."""
    packages = {}
    for name in ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    card: dict[str, Any] = {"name": platform.processor() or platform.machine()}
    if bench.device == "cuda":
        reported = torch.cuda.get_device_properties(0)
        card = {
            "name": reported.name,
            "memory_gib": round(reported.total_memory / GIB, 1),
            "capability": f"{reported.major}.{reported.minor}",
        }
    return {"device": card, "python": platform.python_version(), **packages}


def tests(bench: Bench) -> dict[str, Any]:
    """The tests that need a card."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", "tests/trainer"]
    if bench.tiny:
        command.append("--collect-only")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=150)
    return {"ok": done.returncode == 0, "said": (done.stdout.strip().splitlines() or [done.stderr[-300:]])[-1]}


def preset(bench: Bench) -> dict[str, Any]:
    """The settings for an RTX 3060, as they are but for the model and a few steps."""
    from interfaces.presets import PRESETS

    settings = PRESETS["rtx_3060"]().model_dump(exclude_defaults=True)
    config = {**settings, "model_name": str(bench.model(bench.shapes[-1])), "max_steps": 6, "device": bench.device}
    config |= {"max_length": 128, "load_in_8bit": False} if bench.tiny else {}
    folder, reported = start(bench, config)
    return {
        "ok": reported["state"] == "finished",
        "peak_gb": round((reported["peak_memory_bytes"] or 0) / 1e9, 3),
        "tokens_per_second": reported["tokens_per_second"],
        "run": folder.id,
    }


def start(bench: Bench, config: dict[str, Any], rows: int = 48, tokens: int = 120) -> tuple[RunFolder, dict[str, Any]]:
    """A run of `finetune train`, followed to its end."""
    file = write_config(bench, config, rows, tokens)
    done = finetune("train", file, "--json", home=bench.home)
    if not done.stdout.strip():
        raise RuntimeError(done.stderr[-500:])
    reported = json.loads(done.stdout.splitlines()[-1])
    return bench.home.run(reported["run"]), reported


def write_config(bench: Bench, config: dict[str, Any], rows: int, tokens: int) -> Path:
    folder = Path(tempfile.mkdtemp(dir=bench.place))
    lines = [json.dumps(row) for row in rows_of_length(rows, max(tokens // 5, 30))]
    (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    file = folder / "config.yaml"
    usual = {"validation_split": 0, "save_steps": 0, "eval_steps": 0, "bad_rows": "stop", "sample_prompts": []}
    file.write_text(json.dumps({**usual, **config, "dataset": str(folder / "rows.jsonl")}))
    return file


def flat(bench: Bench) -> dict[str, Any]:
    """Flat batches against padded ones on this device: the loss and every gradient of an adapter."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from trainer.kernels.fast_paths import use_fast_paths
    from trainer.kernels.lora_linear import use_lora_linear
    from trainer.tokens.batches import flat_batch, padded_batch

    draw = random.Random(5)
    rows = [
        {"input_ids": (ids := [draw.randrange(1, 250) for _ in range(length)]), "labels": ids}
        for length in (37, 130, 61, 300)
    ]
    found: dict[str, Any] = {}
    grads: dict[str, dict[str, torch.Tensor]] = {}
    for kind in ("flat", "padded"):
        model = AutoModelForCausalLM.from_pretrained(bench.model(bench.shapes[0]), dtype=torch.float32).to(bench.device)
        model.requires_grad_(False)
        if kind == "flat":
            paths = use_fast_paths(model, "random")
            found |= {
                "batches": paths.batches,
                "logits": paths.logits,
                "reasons": [str(one.params.get("reason")) for one in paths.warnings],
            }
        torch.manual_seed(1)
        adapted = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"))
        for name, value in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(value, std=0.02, generator=torch.Generator(value.device).manual_seed(3))
        if kind == "flat":
            use_lora_linear(adapted)
        batch = flat_batch(rows) if kind == "flat" and found["batches"] == "flat" else padded_batch(rows, 0)
        loss = adapted.train()(
            **{
                key: value.to(bench.device) if isinstance(value, torch.Tensor) else value
                for key, value in batch.items()
            }
        ).loss
        loss.backward()
        found[f"loss_{kind}"] = float(loss.detach())
        grads[kind] = {name: value.grad for name, value in adapted.named_parameters() if value.grad is not None}
    worst = max(float((grads["flat"][name] - other).norm() / other.norm()) for name, other in grads["padded"].items())
    found |= {"worst_gradient": worst, "loss_difference": abs(found["loss_flat"] / found["loss_padded"] - 1)}
    return {"ok": found["batches"] == "flat" and worst < 1e-3, **found}


def speed(bench: Bench) -> dict[str, Any]:
    """Tokens a second and memory beside the plain Trainer and TRL: 16, 8 and 4 bits."""
    found: dict[str, Any] = {}
    bits = {"16 bits": ("ours", "plain", "trl")} if bench.tiny else {
        "16 bits": ("ours", "plain", "trl"), "8 bits": ("ours, 8 bit", "plain, 8 bit"), "4 bits": ("ours, 4 bit", "plain, 4 bit"),
    }  # fmt: skip
    for name in bench.shapes:
        rows = rows_of_length(8 if bench.tiny else 64, 30 if bench.tiny else 80)
        job = {
            "model": str(bench.model(name)),
            "rows": rows,
            "held_out": [],
            "threads": os.cpu_count() or 1,
            "length": 512,
            "device": bench.device,
        }
        for kind, ways in bits.items():
            reported = {}
            for way in ways:
                try:
                    one = run_way(way, job)
                    reported[way] = {
                        "tokens_per_second": round(one["tokens_per_second"], 1),
                        "memory_gb": round(one["memory"] / 1e9, 3),
                    }
                except SystemExit as error:
                    reported[way] = {"failed": str(error)[-200:]}
            mine = reported[ways[0]]
            for way in ways[1:]:
                if "failed" not in reported[way] and "failed" not in mine:
                    reported[way]["ours_times_as_fast"] = round(
                        mine["tokens_per_second"] / reported[way]["tokens_per_second"], 2
                    )
            found[f"{name}, {kind}"] = reported
    return {"ok": all("failed" not in reported[next(iter(reported))] for reported in found.values()), **found}


def memory(bench: Bench) -> dict[str, Any]:
    """Measured peaks of whole runs against their estimates."""
    draw = random.Random(12)
    models = {name: str(bench.model(name)) for name in bench.shapes}
    errors = []
    for _ in range(2 if bench.tiny else 12):
        config = {**draw_setting(draw, models), "device": bench.device}
        if bench.tiny:
            config |= {"max_length": 96, "load_in_8bit": False, "load_in_4bit": False}
        record = run(bench.home, config, 3 if bench.tiny else 6, draw)
        errors.append(round(record["estimated"] / record["measured"] - 1, 4))
    return {"ok": True, "errors": errors, "worst": max(errors, key=abs)}


def shortage(bench: Bench) -> dict[str, Any]:
    """A card that others fill: out of memory, named, with settings that then run."""
    if bench.device != "cuda":
        return {
            "ok": True,
            "skipped": "needs a card; on a CPU tests/faults/test_memory_limit.py does it in a control group",
        }
    config = {
        "model_name": str(bench.model("0.5B")),
        "max_length": 2048,
        "per_device_train_batch_size": 16,
        "gradient_accumulation_steps": 1,
        "max_steps": 2,
        "device": "cuda",
        "gradient_checkpointing": False,
    }
    free, _ = torch.cuda.mem_get_info()
    ballast = torch.empty(int(free - 6 * GIB), dtype=torch.uint8, device="cuda")
    try:
        folder, reported = start(bench, config, rows=32, tokens=2000)
        if reported["state"] != "failed":
            return {"ok": False, "state": reported["state"], "why": "it fitted into 6 GiB"}
        done = finetune("retry", folder.id, "--apply-fix", "--json", home=bench.home)
        apply_fix = json.loads(done.stdout.splitlines()[-1])
        return {"ok": apply_fix["state"] == "finished", "first": reported["state"], "then": apply_fix["state"]}
    finally:
        del ballast
        torch.cuda.empty_cache()


def stop(bench: Bench) -> dict[str, Any]:
    """A stop within the bound that is promised, and a resume that ends as an undisturbed run."""
    config = {
        "model_name": str(bench.model(bench.shapes[0])),
        "max_length": 256,
        "num_train_epochs": 15 if bench.tiny else 4,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "device": bench.device,
        "save_minutes": 0,
    }
    manager = FinetuneManager(SupervisedTrainer(), bench.home)
    whole, folder = (launched(bench, manager, config) for _ in range(2))
    until(lambda: any(step >= 5 for step in history(folder).train.steps))
    asked = time.monotonic()
    manager.request_stop(folder.id)
    until(lambda: run_state(folder).is_over)
    took = time.monotonic() - asked
    wait_until_gone(folder, LocalLauncher())
    bounds = [event.within_seconds for event in read_events(folder.events) if isinstance(event, Stopping)]
    resumed = finetune("resume", folder.id, home=bench.home)
    losses = [list(history(one).train.losses) for one in (whole, folder)]
    same = len(losses[0]) == len(losses[1])
    furthest = max((abs(a - b) for a, b in zip(*losses, strict=True)), default=0.0) if same else None
    return {
        # A stop that comes between two steps of milliseconds ends before it reports a bound.
        "ok": same and took <= (bounds[-1] if bounds else 5.0),
        "stop_seconds": round(took, 2),
        "promised_seconds": bounds[-1] if bounds else None,
        "furthest_loss": furthest,
        "resume": resumed.stderr.strip()[-300:] if resumed.returncode else "finished",
    }


def launched(bench: Bench, manager: FinetuneManager, config: dict[str, Any]) -> RunFolder:
    """A run that begins once the one before it is over; the same rows for each."""
    until(lambda: all(run_state(bench.home.run(path.name)).is_over for path in bench.home.runs.glob("*-*")))
    values = json.loads(write_config(bench, config, 48, 120).read_text())
    return bench.home.run(manager.launch_new(with_datasets(bench.home, values)))


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait on a condition; a check that waits for ever would take the others along."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(0.05)


def history(folder: RunFolder) -> Any:
    from interfaces.history import RunHistory

    return RunHistory(folder).refresh()


CHECKS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "machine": machine, "preset": preset, "flat": flat, "stop": stop, "shortage": shortage, "speed": speed, "memory": memory, "tests": tests,
}  # fmt: skip


def written(report: dict[str, Any]) -> str:
    """The report for a person."""
    lines = [
        "# What a card showed",
        "",
        f"{report['seconds']:.0f} s on {report['checks']['machine'].get('device', {}).get('name', '?')}.",
        "",
    ]
    for name, found in report["checks"].items():
        lines += [
            f"## {name}: {'ok' if found.get('ok', True) else 'NOT ok'} ({found['seconds']:.0f} s)",
            "",
            "```json",
            json.dumps(
                {key: value for key, value in found.items() if key not in ("ok", "seconds")}, indent=1, default=str
            ),
            "```",
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small models and few settings: the dry form")
    parser.add_argument("--out", type=Path, default=Path("gpu-check"))
    parser.add_argument("--only", default=",".join(CHECKS), help="some checks, separated by commas")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("There is no CUDA card that this torch can use. Without one: --device cpu --tiny")
    options.out.mkdir(parents=True, exist_ok=True)
    begun, report = time.monotonic(), {"checks": {}, "tiny": options.tiny}
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        home = Home(Path(folder) / "home")
        home.path.mkdir()
        bench = Bench(options.device, options.tiny, Path(folder), home)
        for name in options.only.split(","):
            at = time.monotonic()
            try:
                found = CHECKS[name](bench)
            except Exception as error:  # noqa: BLE001  one check that breaks doesn't take the others along
                found = {
                    "ok": False,
                    "error": f"{type(error).__name__}: {error}"[-600:],
                    "trace": traceback.format_exc()[-1500:],
                }
            report["checks"][name] = {**found, "seconds": round(time.monotonic() - at, 1)}
            report["seconds"] = round(time.monotonic() - begun, 1)
            print(
                f"{name}: {'ok' if found.get('ok', True) else 'NOT ok'} ({report['checks'][name]['seconds']} s)",
                flush=True,
            )
            (options.out / "report.json").write_text(json.dumps(report, indent=1, default=str))
            (options.out / "report.md").write_text(
                written({**report, "checks": {"machine": {"seconds": 0}, **report["checks"]}})
            )
    sys.exit(0 if all(found.get("ok", True) for found in report["checks"].values()) else 1)


if __name__ == "__main__":
    main()
