"""What the pages cost: bytes sent to a cold browser, largest paint, layout shift, tab stops, and the studio's processor time.

Chromium loads each page of a fresh studio, on this machine, with an empty cache. The goals are in the table that is
printed. Medians of `--rounds`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from interfaces.events import Event, Stopped  # noqa: E402
from interfaces.folders import Home  # noqa: E402
from studio.processes.warm_trainer import end_warm_trainer, warm_trainer_state  # noqa: E402
from studio.runs.state import any_run_is_active  # noqa: E402
from tests.support.records import recorded_run, step  # noqa: E402
from tests.support.served import Studio  # noqa: E402

MANY_RUNS = 2000
LONG = 100_000
ZOOM_AND_UPDATE = """async () => {
  const chart = document.querySelector(".fs-chart");
  await Plotly.relayout(chart, {"xaxis.range[0]": 40000, "xaxis.range[1]": 50000});
  for (let update = 0; update < 50; update += 1) {
    await Plotly.react(chart, chart.data.map((one) => ({...one})), {...chart.layout}, {displayModeBar: false});
  }
  return chart.layout.xaxis.range[0] === 40000;
}"""
IDLE_SECONDS = 20.0
OBSERVE = """
window.seen = {first: 0, largest: 0, shift: 0};
new PerformanceObserver((list) => { for (const one of list.getEntries()) if (one.name === "first-contentful-paint") window.seen.first = one.startTime; })
  .observe({type: "paint", buffered: true});
new PerformanceObserver((list) => { for (const one of list.getEntries()) window.seen.largest = one.startTime; })
  .observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver((list) => { for (const one of list.getEntries()) if (!one.hadRecentInput) window.seen.shift += one.value; })
  .observe({type: "layout-shift", buffered: true});
"""
"""The web vitals FCP, LCP (milliseconds) and CLS, as web.dev/vitals defines them."""


@contextmanager
def cold_page(browser: Any, link: str) -> Iterator[tuple[Any, list[int]]]:
    """A page of a new browser context that is logged in, and the bytes of each response."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(link.replace("/?", "/login?"))
    session, sent = context.new_cdp_session(page), []
    session.send("Network.enable")
    session.send("Network.clearBrowserCache")
    session.on("Network.loadingFinished", lambda event: sent.append(int(event["encodedDataLength"])))
    page.add_init_script(OBSERVE)
    yield page, sent
    context.close()


def measure(browser: Any, studio: Studio, path: str, settled: str) -> dict[str, float]:
    """Load a page until `settled` is shown and it has been quiet for a second."""
    with cold_page(browser, studio.link) as (page, sent):
        sent.clear()
        begun = time.perf_counter()
        page.goto(studio.url + path)
        page.locator(settled).first.wait_for()
        ready = time.perf_counter() - begun
        page.wait_for_timeout(3000)
        seen = page.evaluate("window.seen")
        return {
            "MB sent": sum(sent) / 1e6, "first paint, s": seen["first"] / 1000, "largest paint, s": seen["largest"] / 1000, "layout shift": seen["shift"], "ready, s": ready,
        }  # fmt: skip


def tab_stops(browser: Any, studio: Studio) -> int:
    """Count how often Tab is pressed from the top of New fine-tune to Start, with the sample data taken."""
    with cold_page(browser, studio.link) as (page, _):
        page.goto(studio.url + "/en/")
        page.get_by_role("button", name="Use sample data").click()
        page.locator("#train-start:enabled").wait_for()
        page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
        for count in range(1, 200):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "train-start":
                return count
    return 200


def long_curve(browser: Any, studio: Studio) -> str:
    """Open a run of 100,000 points, zoom in, and let 50 updates come: how long until it is drawn, and whether the zoom stays."""
    events: list[Event] = [step(number, 100_000, loss=3 / number) for number in range(1, LONG + 1)]
    run = recorded_run(studio.home, *events, Stopped(step=LONG, resumable=False))
    with cold_page(browser, studio.link) as (page, _):
        page.goto(f"{studio.url}/en/run?run={run.id}")
        page.locator(".fs-chart .main-svg").first.wait_for()  # the library and the events have been read once
        begun = time.perf_counter()
        page.reload()
        page.wait_for_function("Number(document.querySelector('.fs-chart')?.dataset.points || 0) > 500")
        drawn = time.perf_counter() - begun
        kept = page.evaluate(ZOOM_AND_UPDATE)
    return f"curve of {LONG:,} points: drawn {drawn:.2f} s after a reload (goal 1.5), zoom kept over 50 updates: {kept}"


def poll_bytes(browser: Any, studio: Studio) -> int:
    """Return the bytes of one poll of the list of runs, after the first answer."""
    with cold_page(browser, studio.link) as (page, _):
        page.goto(f"{studio.url}/en/runs")
        page.locator("tbody tr").first.wait_for()
        with page.expect_response(lambda answer: "/api/runs/changes?cursor=1" in answer.url) as answered:
            pass
        return len(answered.value.body())


def first_points(browser: Any, home: Home, rounds: int) -> list[float]:
    """Return the seconds from Start to the first point of the curve, with a trainer that waits.

    The run asks its test questions too. The first run, which also tries the fast paths, isn't counted.
    """
    home.models.mkdir(parents=True)
    home.starter.symlink_to(Home.of(None, os.environ).starter.resolve(), target_is_directory=True)
    studio, found = Studio(home), []
    try:
        with cold_page(browser, studio.link) as (page, _):
            page.on("dialog", lambda dialog: dialog.accept())
            for turn in range(rounds + 1):
                page.goto(f"{studio.url}/en/")
                if turn == 0:
                    page.get_by_role("button", name="Use sample data").click()
                page.get_by_text("Ready:").wait_for()
                while warm_trainer_state(home).state != "waiting":
                    page.wait_for_timeout(100)
                page.wait_for_timeout(3000)  # what else the studio does at its start is over
                begun = time.perf_counter()
                page.get_by_role("button", name="Start training").click()
                page.wait_for_function(
                    "Number(document.querySelector('.fs-chart')?.dataset.points || 0) > 0", polling=20
                )
                found.append(time.perf_counter() - begun)
                page.get_by_role("button", name="Discard").click()
                while any_run_is_active(home):
                    page.wait_for_timeout(100)
    finally:
        studio.kill()
        end_warm_trainer(home)
    return found[1:]


def idle_share(studio: Studio) -> float:
    """Return the share of a core that the studio uses while no page is open."""
    process = psutil.Process(studio.process.pid)
    before = process.cpu_times()
    time.sleep(IDLE_SECONDS)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / IDLE_SECONDS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        home = Home(Path(place) / "home")
        home.path.mkdir()
        events: list[Event] = [
            *(step(number, 40, loss=3 / number) for number in range(1, 41)),
            Stopped(step=40, resumable=False),
        ]
        run = recorded_run(home, *events)
        studio = Studio(home, "--no-warm-trainer")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            found = first_points(browser, Home(Path(place) / "training"), max(rounds, 5))
            print(
                f"Start to first point: {min(found):.2f} / {statistics.median(found):.2f} / {max(found):.2f} s (goal 4)"
            )
            print(f"idle studio: {idle_share(studio):.2%} of a core (goal 0.5%)")
            print(long_curve(browser, studio))
            print(f"tab stops to Start: {tab_stops(browser, studio)} (goal 25)")
            for _ in range(MANY_RUNS - 1):
                recorded_run(home, *events[-3:])
            pages = {
                "New fine-tune": ("/en/", "#train-start", "1.0"),
                "Runs, 2,000 runs": ("/en/runs", "tbody tr", "1.0"),
                "Run, with its chart": (f"/en/run?run={run.id}", ".fs-chart .main-svg", "2.3"),
                "Datasets": ("/en/datasets", ".fs-library", "1.0"),
                "Models": ("/en/models", ".fs-models tbody tr", "1.0"),
                "Settings, 2,000 runs": ("/en/settings", "#storage .fs-places", "1.0"),
                "Help": ("/en/help", "#help-entries [data-entry]", "1.0"),
            }
            measure(browser, studio, *pages["Runs, 2,000 runs"][:2])  # the summaries are written once
            print(f"a poll of 2,000 runs: {poll_bytes(browser, studio)} bytes (goal 2,000)")
            for name, (path, settled, goal) in pages.items():
                found = [measure(browser, studio, path, settled) for _ in range(rounds)]
                medians = {key: statistics.median(one[key] for one in found) for key in found[0]}
                print(
                    f"{name}: "
                    + ", ".join(f"{key} {value:.2f}" for key, value in medians.items())
                    + f" (goal {goal} MB, 2 s, 0.05)"
                )
        finally:
            browser.close()
            studio.kill()


if __name__ == "__main__":
    main()
