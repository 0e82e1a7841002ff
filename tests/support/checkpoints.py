"""Checkpoints of a few bytes, and what can be wrong with one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interfaces.folders import RunFolder
from trainer.artifacts.checkpoints import NEEDED, Conditions, commit_checkpoint

CONDITIONS = Conditions(
    config_sha256="a", dataset_sha256="b", validation_sha256="b", world_size=1, device="cpu", dtype="float32", threads=2,
    batches="flat", logits="trained", attention="sdpa", versions={"torch": "2.13.0"},
)  # fmt: skip


def commit(folder: RunFolder, step: int) -> Path:
    staged = folder.staging / f"checkpoint-{step}"
    staged.mkdir(parents=True)
    for name in NEEDED:
        (staged / name).write_bytes(name.encode() * 50 + str(step).encode())
    (staged / "adapter_config.json").write_text('{"r": 8, "base_model_name_or_path": "/home/me/model"}')
    (staged / "README.md").write_text("base_model: /home/me/model")
    (staged / "training_args.bin").write_bytes(b"a token may be in here")
    path, size = commit_checkpoint(folder, step, CONDITIONS, {"loss": 0.1}, "org/base")
    assert size == sum((path / name).stat().st_size for name in NEEDED)
    return path


def edit_manifest(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads((path / "MANIFEST.json").read_text())
    edit(record)
    (path / "MANIFEST.json").write_text(json.dumps(record))


def swap(one: Path, other: Path) -> None:
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: (path / "optimizer.pt").write_bytes(b"o" * 499),
    "zeros": lambda path: (path / "optimizer.pt").write_bytes(bytes((path / "optimizer.pt").stat().st_size)),
    "empty": lambda path: (path / "rng_state.pth").write_bytes(b""),
    "one bit": lambda path: (path / "scheduler.pt").write_bytes(
        bytes([(raw := (path / "scheduler.pt").read_bytes())[0] ^ 1]) + raw[1:]
    ),
    "gone": lambda path: (path / "adapter_model.safetensors").unlink(),
    "a folder in its place": lambda path: [(path / "optimizer.pt").unlink(), (path / "optimizer.pt").mkdir()],
    "two files swapped": lambda path: swap(path / "optimizer.pt", path / "scheduler.pt"),
    "a file of another step": lambda path: swap(path / "optimizer.pt", path.with_name("step-0000005") / "optimizer.pt"),
    "the manifest of another step": lambda path: (path / "MANIFEST.json").write_bytes(
        (path.with_name("step-0000005") / "MANIFEST.json").read_bytes()
    ),
    "no manifest": lambda path: (path / "MANIFEST.json").unlink(),
    "half a manifest": lambda path: (path / "MANIFEST.json").write_text('{"step": 10, "fil'),
    "a manifest of another shape": lambda path: edit_manifest(path, lambda record: record.update(files=["optimizer.pt"])),
    "a manifest without a file": lambda path: edit_manifest(path, lambda record: record["files"].pop("rng_state.pth")),
}  # fmt: skip
