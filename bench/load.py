"""What many tabs cost: answers to 100 clients, and the speed of a training run that 20 tabs watch.

A client asks what a tab on the page of a run asks, as often as it does: new events each second, and each five seconds
the devices, and for the frame the devices and the queue. They are not browsers: 20 of those would need the two cores of a
small machine for themselves. How long an answer takes is measured by one more client in a process of its own, because
the loop of the others is busier than the studio. The run is the starter on its sample, alone and watched, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from interfaces.events import Event, Step, Stopped, read_events  # noqa: E402
from interfaces.folders import Home, RunFolder  # noqa: E402
from studio.datasets.library import with_datasets  # noqa: E402
from studio.datasets.sample import demo_config  # noqa: E402
from studio.finetune_manager import FinetuneManager  # noqa: E402
from studio.processes.launcher import LocalLauncher  # noqa: E402
from studio.runs.state import run_state  # noqa: E402
from studio.runs.supervised_trainer import SupervisedTrainer  # noqa: E402
from tests.support.records import recorded_run, step  # noqa: E402
from tests.support.served import Studio  # noqa: E402

SELDOM = 5
PROBE_EVERY = 0.05
TIMEOUT = 30.0
SKIPPED_STEPS = 5
"""The first steps include one-time work."""


class Connection:
    """A connection as a browser keeps one open. A client library would use more of the processor than the studio."""

    def __init__(self, link: str) -> None:
        self._host, _, token = link.removeprefix("http://").partition("/?token=")
        self._token = token

    async def open(self) -> None:
        """Connect and log in."""
        host, _, port = self._host.partition(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port))
        self._cookie = ""
        _, headers, _ = await self.get(f"/?token={self._token}")
        self._cookie = headers["set-cookie"].partition(";")[0]

    async def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return the status, the headers, and the body of an answer."""
        asked = f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\nCookie: {self._cookie}\r\n\r\n"
        self._writer.write(asked.encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name}
        return int(head[0].split()[1]), headers, await self._reader.readexactly(int(headers["content-length"]))

    def close(self) -> None:
        self._writer.close()


async def tab(link: str, run: str, until: float, answers: list[str], errors: list[str]) -> None:
    """Ask like a tab on the page of a run."""
    connection = Connection(link)
    await connection.open()
    last, turn = 0, 0
    while time.perf_counter() < until:
        begun = time.perf_counter()
        seldom = ["/api/devices", "/api/devices", "/api/queue"] if turn % SELDOM == 0 else []
        for path in [f"/api/runs/{run}/events?since={last}", *seldom]:
            try:
                status, _, body = await asyncio.wait_for(connection.get(path), TIMEOUT)
                answers.append(path)
                if status != 200:
                    errors.append(f"{status} {path}")
                elif "events" in path:
                    last = json.loads(body)["last"]
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                errors.append(repr(error))
                connection.close()
                await connection.open()
        turn += 1
        await asyncio.sleep(max(1 - (time.perf_counter() - begun), 0))
    connection.close()


async def watch(studio: Studio, run: str, tabs: int, duration: float) -> tuple[int, list[str]]:
    """Let `tabs` clients ask for a while, each beginning at another moment of the second. Return answers and errors."""
    answers: list[str] = []
    errors: list[str] = []
    until = time.perf_counter() + duration

    async def one(number: int) -> None:
        await asyncio.sleep(number / tabs)
        await tab(studio.link, run, until, answers, errors)

    await asyncio.gather(*(one(number) for number in range(tabs)))
    return len(answers), errors


def probe(link: str, run: str, last: int, duration: float) -> list[float]:
    """Ask one client's question again and again, and return how long each answer took."""
    seconds = []
    with httpx.Client(base_url=link.partition("/?")[0], timeout=30) as client:
        client.get(link)
        until = time.perf_counter() + duration
        while time.perf_counter() < until:
            begun = time.perf_counter()
            client.get(f"/api/runs/{run}/events?since={last}").raise_for_status()
            seconds.append(time.perf_counter() - begun)
            time.sleep(PROBE_EVERY)
    return seconds


def clients(studio: Studio, count: int, duration: float) -> str:
    """Measure the answers to many clients, and what the studio uses meanwhile."""
    events: list[Event] = [
        *(step(number, 2000, loss=3 / number) for number in range(1, 2001)),
        Stopped(step=2000, resumable=False),
    ]
    run = recorded_run(studio.home, *events)
    process = psutil.Process(studio.process.pid)
    before = process.cpu_times()
    with ProcessPoolExecutor(1) as other:
        probed = other.submit(probe, studio.link, run.id, 2001, duration)
        answers, errors = asyncio.run(watch(studio, run.id, count, duration))
        seconds = probed.result()
    after = process.cpu_times()
    share = (after.user + after.system - before.user - before.system) / duration
    p95 = 1000 * statistics.quantiles(seconds, n=20)[-1]
    return f"{count} clients for {duration:.0f} s: {answers} answers, p95 {p95:.0f} ms, {len(errors)} errors, {share:.1%} of a core"


def seconds_per_step(home: Home, studio: Studio, tabs: int) -> float:
    """Train the demo, watched by `tabs`, and return the median time of a step."""
    manager = FinetuneManager(SupervisedTrainer(), home)
    config = {**demo_config(), "sample_prompts": [], "save_steps": 0.0, "save_minutes": 0.0}
    folder = home.run(manager.launch_new(with_datasets(home, config)))
    while not run_state(folder).is_over:
        if tabs:
            asyncio.run(watch(studio, folder.id, tabs, 5))
        else:
            time.sleep(1)
    steps = [event.seconds for event in read_events(folder.events) if isinstance(event, Step)]
    return statistics.median(steps[SKIPPED_STEPS:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--tabs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = Home(Path(place) / "home")
        home.models.mkdir(parents=True)
        home.starter.symlink_to(Home.of(None, os.environ).starter.resolve(), target_is_directory=True)
        studio = Studio(home, "--no-warm-trainer")
        try:
            for count in (1, 5, asked.clients):
                print(clients(studio, count, asked.seconds if count == asked.clients else 20), flush=True)
            pairs = [[seconds_per_step(home, studio, tabs) for tabs in (0, asked.tabs)] for _ in range(asked.rounds)]
            ratio = statistics.median(watched / alone for alone, watched in pairs)
            times = ", ".join(f"{alone:.3f} / {watched:.3f}" for alone, watched in pairs)
            print(f"seconds a step, alone / watched by {asked.tabs} tabs: {times}; ratio {ratio:.3f} (goal 1.05)")
        finally:
            studio.kill()
            for path in home.runs.glob("*"):
                LocalLauncher().signal(RunFolder(path), signal.SIGKILL)


if __name__ == "__main__":
    main()
