"""Following a job in the terminal ends when it is over, whoever has ended it."""

from __future__ import annotations

import io

from rich.console import Console

from interfaces.events import Finished, Phase
from interfaces.folders import Home
from interfaces.job_folders import ExportFolder
from studio.cli import job_progress
from tests.support.records import recorded_run


def test_each_phase_is_named_once(home: Home, monkeypatch: object) -> None:
    folder = ExportFolder.create(recorded_run(home))
    folder.config.write_text("{}")
    folder.create_attempt()
    events = [
        Phase(phase="export", done=1, total=2),
        Phase(phase="export", done=2, total=2),
        Phase(phase="prove"),
        Finished(step=0, peak_memory_bytes=1, seconds=1),
    ]
    lines = [
        event.model_copy(update={"seq": at, "attempt": 1}).model_dump_json() + "\n"
        for at, event in enumerate(events, 1)
    ]
    written = iter(range(1, len(lines) + 1))

    def passes(_seconds: float) -> None:
        folder.events.write_text("".join(lines[: next(written)]))

    monkeypatch.setattr(job_progress.time, "sleep", passes)  # type: ignore[attr-defined]
    said = io.StringIO()
    job_progress.follow_job(folder, Console(file=said))
    assert said.getvalue().split("\n")[:3] == ["Starting", "Writing the files", "Comparing answers"]
