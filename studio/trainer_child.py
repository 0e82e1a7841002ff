"""Short jobs of the trainer, each in a child of its own: inspect a file, fetch a model, export an adapter.

The child answers in JSON lines on stdout (see `trainer/cli.py`): nothing heavy or hostile runs in here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interfaces.problems import Code, FineTuneError, Problem

Progress = Callable[[int, int], None]


def run_trainer(arguments: list[str], progress: Progress = lambda _done, _total: None) -> dict[str, Any]:
    """The result of `python -m trainer <arguments>`.

    Raises:
        FineTuneError: what the child found wrong, or that it ended without an answer.
    """
    with tempfile.TemporaryDirectory(prefix="finetune-") as empty, (Path(empty) / "errors").open("w+") as errors:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "trainer", *arguments],
            cwd=empty, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        answer: dict[str, Any] = {}
        try:
            for line in child.stdout or ():
                told = _parse(line)
                if "progress" in told:
                    progress(*told["progress"])
                else:
                    answer |= told
        finally:
            child.terminate()
            code = child.wait()
        if "result" in answer:
            return dict(answer["result"])
        if "problems" in answer:
            raise FineTuneError(*(Problem.model_validate(problem) for problem in answer["problems"]))
        errors.seek(0)
        last = (errors.read().strip().splitlines() or [f"exit code {code}"])[-1][:300]
        raise FineTuneError.of(Code.START_FAILED, reason=last)


def _parse(line: str) -> dict[str, Any]:
    """A line of the answer; whatever a library printed in between is nothing."""
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def add_dataset(home: Path, file: Path) -> str:
    """Add a file to the home's datasets; returns the dataset's id.

    Raises:
        FineTuneError: the file or rows of it can't be used.
    """
    return str(run_trainer(["inspect", "--home", str(home), "--", str(file.absolute())])["dataset"])


def download_model(home: Path, model: str, progress: Progress) -> Path:
    """Bring a model to this machine; returns its folder.

    Raises:
        FineTuneError: it can't be had.
    """
    return Path(run_trainer(["download", "--home", str(home), "--", model], progress)["path"])
