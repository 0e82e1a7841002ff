"""The Run page (one run, active or ended), the Runs page (all runs), and the Compare page (some runs). Our scripts fill both from `/api`."""

from __future__ import annotations

from studio.pages.live import live_part


def build_run_page(language: str) -> None:
    """One run, named by `?run=` in the address."""
    live_part("run", language, "run-live")


def build_runs_page(language: str) -> None:
    """Build the list of all runs, newest first, with interrupted and queued runs on top."""
    live_part("rescue", language, "runs-rescue")
    live_part("queue", language, "runs-queue")
    live_part("runs", language, "runs-list")


def build_compare_page(language: str) -> None:
    """Runs side by side, named by `?runs=` in the address."""
    live_part("compare", language, "compare-live")
