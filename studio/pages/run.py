"""Run: one run, live or ended; and Runs: the list of all. Both are filled by our own script from `/api`."""

from __future__ import annotations

from studio.pages.live import live_part


def build_run_page(language: str) -> None:
    """One run, named by `?run=` in the address."""
    live_part("run", language, "run-live")


def build_runs_page(language: str) -> None:
    """All runs, newest first; on top those that were interrupted, and those that wait."""
    live_part("rescue", language, "runs-rescue")
    live_part("queue", language, "runs-queue")
    live_part("runs", language, "runs-list")
