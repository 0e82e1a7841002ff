"""A million rows: how soon the first are shown, how long a whole report takes, and what it costs the studio.

python bench/data.py [--rows 1000000] [--file FILE] [--tokens]

The work is done through a running studio, as a page does it, on a file in the home's imports folder. Beside it stands
the same file through `datasets.load_dataset` and a `map` into messages, without any check. Results: docs/performance.md.
"""

from __future__ import annotations

import argparse
import http.cookiejar
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

WORDS = [
    "time",
    "person",
    "year",
    "way",
    "day",
    "thing",
    "man",
    "world",
    "life",
    "hand",
    "part",
    "child",
    "eye",
    "woman",
    "place",
    "work",
    "week",
    "case",
    "point",
]


def write_rows(path: Path, rows: int) -> None:
    """About a kilobyte a row, in Alpaca's shape."""
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            answer = " ".join(rng.choices(WORDS, k=165))
            row = {"instruction": f"Write about number {number}.", "input": "", "output": f"{answer}. Nr. {number}"}
            file.write(json.dumps(row) + "\n")


class Studio:
    """A studio of its own home, asked as a page asks it."""

    def __init__(self, home: Path) -> None:
        command = [Path(sys.executable).parent / "finetune", "studio", "--no-browser", "--home", home]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        link = next(
            found[0] for line in self.process.stdout or () if (found := re.search(r"http://\S+token=\S+", line))
        )
        self.url = link.split("/?")[0]
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)
        self._opener.open(link).read()

    def ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})  # noqa: S310
        return json.load(self._opener.open(request))

    def memory(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)


class Watch(threading.Thread):
    """The largest resident memory of a process's children while it runs."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.parent, self.peak, self.ended = psutil.Process(pid), 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.1):
            for child in self.parent.children(recursive=True):
                try:
                    self.peak = max(self.peak, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue


def measure_studio(file: Path, home: Path, tokens: bool) -> None:
    """Through the studio: first rows, whole report, memory, pages, and token figures."""
    (home / "imports").mkdir(parents=True)
    (home / "imports" / file.name).symlink_to(file)
    studio = Studio(home)
    before = studio.memory()
    watch = Watch(studio.process.pid)
    watch.start()
    begun = time.monotonic()
    job = studio.ask("/api/datasets/imports", {"name": file.name})["job"]
    first = None
    while not (reported := studio.ask(f"/api/datasets/jobs/{job}"))["done"]:
        if reported["preview"] and first is None:
            first = time.monotonic() - begun
        time.sleep(0.05)
    whole = time.monotonic() - begun
    watch.ended.set()
    dataset = reported["result"]["dataset"]
    report = studio.ask(f"/api/datasets/{dataset}")
    pages = []
    for _ in range(50):
        start = random.randrange(max(report["usable"] - 20, 1))
        asked = time.monotonic()
        studio.ask(f"/api/datasets/{dataset}/rows?start={start}&count=20")
        pages.append(time.monotonic() - asked)
    print(f"rows {report['rows']}, valid {report['valid']}, {file.stat().st_size / 1e9:.2f} GB")
    print(
        f"first rows shown after {first or whole:.2f} s; whole report {whole:.1f} s; child's peak {watch.peak / 1e6:.0f} MB"
    )
    print(f"studio's memory grew by {(studio.memory() - before) / 1e6:.1f} MB")
    print(f"a page of 20 rows: median {statistics.median(pages) * 1e3:.1f} ms, worst {max(pages) * 1e3:.1f} ms")
    if tokens:
        asked = time.monotonic()
        found = studio.ask(f"/api/datasets/{dataset}/see", {"model": "starter", "op": "stats", "max_length": 512})
        print(f"token figures from a sample of {found['counted']} rows after {time.monotonic() - asked:.1f} s")
        asked = time.monotonic()
        job = studio.ask(f"/api/datasets/{dataset}/tokenize", {"model": "starter", "max_length": 512})["job"]
        while not (reported := studio.ask(f"/api/datasets/jobs/{job}"))["done"]:
            time.sleep(0.5)
        took = time.monotonic() - asked
        print(f"token figures of all rows after {took:.0f} s ({file.stat().st_size / 1e6 / took:.2f} MB/s of file)")
    studio.process.kill()


SAME_WORK = """
import resource, sys, time
from datasets import load_dataset
begun = time.monotonic()
rows = load_dataset("json", data_files=sys.argv[1], split="train", cache_dir=sys.argv[2])
first = time.monotonic() - begun
talk = lambda row: {"messages": [{"role": "user", "content": row["instruction"]}, {"role": "assistant", "content": row["output"]}]}
rows.map(talk, remove_columns=rows.column_names)
print(f"datasets: loaded {first:.1f} s, mapped {time.monotonic() - begun:.1f} s, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")
"""


def main() -> None:
    """Ours, then the library's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--tokens", action="store_true", help="token figures too (needs the starter model)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-data-") as place:
        file = options.file.absolute() if options.file else Path(place) / "rows.jsonl"
        if not options.file:
            write_rows(file, options.rows)
        home = Path(place) / "home"
        if options.tokens:
            starter = Path.home() / ".finetune-studio" / "models" / "starter"
            shutil.copytree(starter, home / "models" / "starter")
        measure_studio(file, home, options.tokens)
        subprocess.run(
            [sys.executable, "-c", SAME_WORK, file, Path(place) / "cache"], check=True, stderr=subprocess.DEVNULL
        )


if __name__ == "__main__":
    main()
