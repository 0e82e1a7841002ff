"""Run: one run, live or ended; and Runs: the list of all. Both are filled by our own script from `/api`."""

from __future__ import annotations

from studio.pages.live import live_part


def build_run_page(texts: dict[str, str], language: str) -> None:
    """One run, named by `?run=` in the address."""
    live_part("run", texts, language, "run-live")


def build_runs_page(texts: dict[str, str], language: str) -> None:
    """All runs, newest first; on top those that were interrupted, and those that wait."""
    live_part("rescue", texts, language, "runs-rescue")
    live_part("queue", texts, language, "runs-queue")
    live_part("runs", texts, language, "runs-list")
