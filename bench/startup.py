"""How long a person waits before anything happens: fresh processes, median of several rounds.

One round is thrown away first. Goals: `finetune --help` 0.6 s, `import interfaces` 0.3 s; from `finetune train` to the
first point of the starter on our sample 18 s without a trainer that waits, 8 s with one; and 0.1 s of processor for
the estimate of all models that the form asks for at each change.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from starlette.testclient import TestClient

from interfaces.events import Started, Step, read_events
from interfaces.folders import Home
from studio.processes.warm_trainer import end_warm_trainer, keep_warm_trainer, warm_trainer_state
from studio.web.server import build_app

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "t" * 43
FINETUNE = str(Path(sys.executable).parent / "finetune")

COMMANDS = {
    "python -c pass": ([sys.executable, "-P", "-c", "pass"], None),
    "import interfaces, every module": (
        [
            sys.executable,
            "-P",
            "-c",
            "from interfaces import *; import interfaces.events, interfaces.texts",
        ],
        0.3,
    ),
    "finetune --help": ([FINETUNE, "--help"], 0.6),
}


def seconds(command: list[str]) -> float:
    """Wall time of one fresh process."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def first_point(home: Home, warm: bool) -> tuple[float, float, float]:
    """Seconds from `finetune train` to the first event, to the first point, and from there to the second."""
    config = {
        "model_name": "starter", "dataset": str(ROOT / "assets" / "samples" / "lumo-lantern.jsonl"), "max_steps": 2,
        "validation_split": 0, "max_length": 256, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 1,
    }  # fmt: skip
    path = home.path / "first-point.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    if warm:
        keep_warm_trainer(home)
        while warm_trainer_state(home).state == "loading":
            time.sleep(0.1)
    begun = time.time()
    subprocess.run([FINETUNE, "train", str(path), "--home", str(home.path)], capture_output=True, check=True)
    reported = read_events(max(home.runs.iterdir(), key=lambda run: run.stat().st_mtime) / "events.jsonl")
    steps = [event.time for event in reported if isinstance(event, Step)]
    started = next(event.time for event in reported if isinstance(event, Started))
    return started - begun, steps[0] - begun, steps[1] - steps[0]


def first_points(rounds: int) -> None:
    """From the command to the first point, with and without a trainer that waits."""
    place = Home(Path(tempfile.mkdtemp(prefix="bench-startup-")))
    place.models.mkdir()
    place.starter.symlink_to(Home.of(None, os.environ).starter.resolve(), target_is_directory=True)
    try:
        for name, warm, goal in (("first point", False, 18), ("first point, a trainer waits", True, 8)):
            first_point(place, warm)
            times = [first_point(place, warm) for _ in range(rounds)]
            points = [point for _, point, _ in times]
            print(f"{name:34} {min(points):6.2f} {statistics.median(points):7.2f} {max(points):6.2f} {goal:>4} s")
            parts = [statistics.median(one) for one in zip(*times, strict=True)]
            print(f"{'':34} first event after {parts[0]:.2f} s; the second step took {parts[2]:.2f} s")
    finally:
        end_warm_trainer(place)
        shutil.rmtree(place.path, ignore_errors=True)


def live_estimates(rounds: int) -> None:
    """Processor time for the answer to one change of the form: the estimate of its run and of each model on offer."""
    place = Home(Path(tempfile.mkdtemp(prefix="bench-startup-")))
    config = {"model_name": "starter", "per_device_train_batch_size": 64, "gradient_checkpointing": False}
    times = []
    with TestClient(build_app(place, TOKEN), base_url="http://127.0.0.1:7860") as client:
        client.get("/", params={"token": TOKEN}, follow_redirects=False)
        for number in range(rounds + 1):
            begun = time.process_time()
            client.post("/api/estimate", json={"config": {**config, "max_length": 8192 - number}}).raise_for_status()
            times.append(time.process_time() - begun)
    shutil.rmtree(place.path, ignore_errors=True)
    del times[0]
    print(
        f"{'estimates while the form changes':34} {min(times):6.3f} {statistics.median(times):7.3f} {max(times):6.3f}  0.1 s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print(f"{'':34} {'min':>6} {'median':>7} {'max':>6} {'goal':>6}")
    for name, (command, goal) in COMMANDS.items():
        seconds(command)
        times = [seconds(command) for _ in range(rounds)]
        goal_text = f"{goal:.1f} s" if goal else ""
        print(f"{name:34} {min(times):6.3f} {statistics.median(times):7.3f} {max(times):6.3f} {goal_text:>6}")
    live_estimates(rounds)
    first_points(max(rounds // 2, 3))


if __name__ == "__main__":
    main()
