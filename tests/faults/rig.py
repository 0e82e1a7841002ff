"""What the fault tests share: one job that has all that could go wrong, attempts of it, and what counts as equal."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from interfaces.events import CheckpointCommitted, Evaluated, Event, Step, read_events, read_tail
from interfaces.files import write_text
from interfaces.folders import Home, RunFolder
from interfaces.method_settings import METHODS
from interfaces.run_records import result_sha256
from tests.conftest import ROOT, alpaca_rows, until, write_rows
from tests.support.records import kept
from trainer.artifacts.checkpoints import committed_steps, verify_checkpoint

SEED = int(os.environ.get("FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
"""Named by each failure, so that it can be done again."""


def rounds(short: int, name: str) -> int:
    """How often a fault is tried: `short` in `make test`, what FAULT_<NAME> says in `make test-long` and `make soak`."""
    return int(os.environ.get(f"FAULT_{name}", short))


def job(model: Path, rows: Path, **more: Any) -> dict[str, Any]:
    """Accumulation, dropout, bf16, flat batches, measuring and saving often; 120 steps, five epochs: a second or two."""
    return {
        "model_name": str(model), "dataset": str(rows), "max_length": 64, "num_train_epochs": 5,
        "per_device_train_batch_size": 1, "gradient_accumulation_steps": 2, "validation_split": 0.1,
        "learning_rate": 1e-3, "lora": {"r": 8, "lora_dropout": 0.1}, "bf16": True, "cpu_threads": 1,
        "logging_steps": 1, "save_steps": 7, "eval_steps": 15, "save_minutes": 0, "save_total_limit": 2, **more,
    }  # fmt: skip


def make_rows(folder: Path) -> Path:
    return write_rows(folder / "rows.jsonl", alpaca_rows(54))


def pair_rows(count: int = 54) -> list[dict[str, str]]:
    """Rows with two answers of different lengths."""
    return [
        {
            "prompt": f"What is number {number}?",
            "chosen": f"It is {number}" + ", and more" * (number % 3),
            "rejected": "No idea" * (1 + number % 4),
        }
        for number in range(count)
    ]


def method_job(model: Path, folder: Path, kind: str) -> dict[str, Any]:
    """The job with another method, or with all weights trained ('full')."""
    if kind == "full":
        return job(model, make_rows(folder), tuning="full")
    texts = [{"text": f"Number {number} is written here. " * (1 + number % 7)} for number in range(60)]
    rows = pair_rows() if METHODS[kind].rows != "texts" else texts
    whole = {} if METHODS[kind].generates else {"long_rows": "drop"}  # a cut answer has no score
    return job(model, write_rows(folder / "rows.jsonl", rows), method=kind, per_device_train_batch_size=2, **whole)


class Nursery:
    """The process that forks attempts; see nursery.py."""

    def __init__(self, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"], cwd=ROOT, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )  # fmt: skip

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def start(self, folder: RunFolder, acks: Path | None = None) -> Attempt:
        number = folder.create_attempt().number
        asked = self._ask(folder=str(folder.path), attempt=number, acks=str(acks) if acks else None)
        return Attempt(self, folder, number, asked["pid"])

    def wait(self, pid: int) -> int:
        return int(self._ask(wait=pid)["status"])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@dataclass
class Attempt:
    """One attempt, a process of its own."""

    nursery: Nursery
    folder: RunFolder
    number: int
    pid: int

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """The exit code, negative for a signal."""
        return self.nursery.wait(self.pid)

    def is_over(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"

    def reported(self) -> list[Event]:
        return [event for event in read_tail(self.folder.events) if event.attempt == self.number]


@dataclass
class Result:
    """What has to be equal: every point of all curves, and the bytes of the adapter or the model."""

    losses: list[tuple[int, float, object]]
    measured: list[tuple[int, float, object]]
    weights: str


def result_of(folder: RunFolder) -> Result:
    events = list(kept(read_events(folder.events)))
    return Result(
        [(event.step, event.loss, event.metrics) for event in events if isinstance(event, Step)],
        [(event.step, event.loss, event.metrics) for event in events if isinstance(event, Evaluated)],
        result_sha256(folder.result),
    )


def new_run(home: Home, config: dict[str, Any]) -> RunFolder:
    folder = home.create_run()
    write_text(folder.config, yaml.safe_dump(config))
    return folder


def run_to_the_end(nursery: Nursery, folder: RunFolder) -> Result:
    attempt = nursery.start(folder)
    code = attempt.wait()
    assert code == 0, f"{folder.log.read_text()[-3000:]}"
    return result_of(folder)


def check_equal(folder: RunFolder, undisturbed: Result) -> None:
    """Nothing lost, nothing doubled, not one bit different."""
    seen = result_of(folder)
    assert [step for step, *_ in seen.losses] == [step for step, *_ in undisturbed.losses], f"seed {SEED}"
    assert seen.measured == undisturbed.measured, f"seed {SEED}, {folder.path}"
    assert seen == undisturbed, f"seed {SEED}, {folder.path}"
    sequence = [event.seq for event in read_events(folder.events)]
    assert sequence == list(range(1, len(sequence) + 1)), f"seed {SEED}"


def check_no_torn_commit(folder: RunFolder) -> None:
    """What is committed is whole, and the newest that was announced is there."""
    for step in committed_steps(folder):
        problem = verify_checkpoint(folder.checkpoint(step))
        assert problem is None, f"seed {SEED}: {problem}"
    announced = [event.step for event in read_events(folder.events) if isinstance(event, CheckpointCommitted)]
    if announced:
        assert max(announced) <= max(committed_steps(folder)), f"seed {SEED}"


class Moments:
    """Random moments of an attempt, half of them aimed into a save."""

    def __init__(self) -> None:
        self._random = random.Random(SEED)
        self._number = itertools.count()
        self.into_saves = 0

    def wait(self, attempt: Attempt, longest: float) -> bool:
        """Wait for the next moment; false when the attempt was quicker and is over."""
        if next(self._number) % 2:
            wanted = self._random.randrange(1, 4)
            seen, there = 0, False
            while seen < wanted:
                if attempt.is_over():
                    return False
                now = is_saving(attempt.folder)
                seen += now and not there
                there = now
                time.sleep(0.0005)
            self.into_saves += 1
            until_then(attempt, self._random.uniform(0, 0.02))
        else:
            until_then(attempt, self._random.uniform(0, longest))
        return not attempt.is_over()


def is_saving(folder: RunFolder) -> bool:
    """Whether a checkpoint lies in staging just now."""
    try:
        return any(path.name.startswith("checkpoint-") for path in folder.staging.iterdir())
    except FileNotFoundError:
        return False


def until_then(attempt: Attempt, seconds: float) -> None:
    """Let an attempt go on for some time, or to its end."""
    deadline = time.monotonic() + seconds
    until(lambda: time.monotonic() >= deadline or attempt.is_over(), seconds + 20)
