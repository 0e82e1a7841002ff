"""How long a person waits before anything happens: fresh processes, median of several rounds.

One round is thrown away first. Goals: `finetune --help` 0.6 s, `import interfaces` 0.3 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "python -c pass": ([sys.executable, "-P", "-c", "pass"], None),
    "import interfaces, every module": (
        [sys.executable, "-P", "-c", "from interfaces import *; import interfaces.events, interfaces.sentences"],
        0.3,
    ),
    "finetune --help": ([str(Path(sys.executable).parent / "finetune"), "--help"], 0.6),
}


def seconds(command: list[str]) -> float:
    """Wall time of one fresh process."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


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


if __name__ == "__main__":
    main()
