"""Collect the wheels that `bench/gpu_check.py` needs on a machine with torch, CUDA and Python 3.12, and without a network.

python bench/gpu_wheels.py FOLDER

There: python -m pip install --no-index --no-deps --target SITE FOLDER/*.whl, and PYTHONPATH=SITE. What such an
image usually has (torch, numpy, tokenizers, safetensors, pyyaml, tqdm, ...) is left out; versions are those of constraints.txt.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED = (
    "accelerate", "annotated-doc", "annotated-types", "bitsandbytes", "filelock", "h11", "huggingface_hub", "httpx2", "nvidia-ml-py",
    "orjson", "peft", "pydantic", "pydantic_core", "rich", "shellingham", "transformers", "typer", "typing-inspection", "typing_extensions",
)  # fmt: skip
MOST_BYTES = 64 << 20
"""Of the wheels together with this tree: what travels to a lent machine."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_24_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {name.strip().lower().replace("_", "-"): version.strip() for name, version in pairs}


def main() -> None:
    folder, versions = Path(sys.argv[1]), pinned()
    wanted = [
        f"{name}=={versions[key]}" if (key := name.lower().replace("_", "-")) in versions else name for name in NEEDED
    ]
    options = ["--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp"]
    for platform in PLATFORMS:
        options += ["--platform", platform]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        *options,
        "-d",
        str(folder),
        *wanted,
    ]
    subprocess.run(command, check=True)
    size = sum(file.stat().st_size for file in folder.glob("*.whl"))
    print(f"{len(list(folder.glob('*.whl')))} wheels, {size / (1 << 20):.1f} MiB")
    if size > MOST_BYTES - (4 << 20):
        raise SystemExit(f"That is more than {MOST_BYTES >> 20} MiB with the tree.")


if __name__ == "__main__":
    main()
