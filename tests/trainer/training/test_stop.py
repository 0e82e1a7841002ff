import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.events import Stopping, read_events
from interfaces.files import write_json
from interfaces.folders import RunFolder
from tests.conftest import ROOT, until
from trainer.training.stop import BYTES_PER_SECOND, MARGIN, WAY_OUT_SECONDS, StopBudget, StopRequested, StopSignal


@pytest.mark.parametrize(
    ("record", "mode"),
    [
        ({"mode": "save", "attempt": 2}, "save"),
        ({"mode": "discard", "attempt": 2}, "discard"),
        ({"mode": "save", "attempt": 1}, None),
        ({}, "save"),
    ],
)
def test_stop_file_has_mode_and_attempt(tmp_path: Path, record: dict[str, object], mode: str | None) -> None:
    stop = StopSignal(RunFolder(tmp_path), 2)
    assert stop.mode is None
    stop.check()
    write_json(RunFolder(tmp_path).stop, record)
    assert stop.mode == mode
    if mode:
        with pytest.raises(StopRequested):
            stop.check()


def test_an_empty_file_made_by_hand_is_a_request_too(tmp_path: Path) -> None:
    RunFolder(tmp_path).stop.touch()
    assert StopSignal(RunFolder(tmp_path), 1).mode == "save"


def test_repeated_signal_is_one_stop_request(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom interfaces.folders import RunFolder\nfrom trainer.training.stop import StopSignal\n"
        f"stop = StopSignal(RunFolder(Path({str(tmp_path)!r})), 1)\nstop.listen()\n"
        "os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGTERM)\nprint(stop.mode)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "save"


def test_handled_empty_stop_file_does_not_stop_next_attempt(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.stop.touch()
    StopSignal(folder, 1).forget_handmade()
    assert StopSignal(folder, 2).mode is None
    write_json(folder.stop, {"mode": "save", "attempt": 2})
    StopSignal(folder, 2).forget_handmade()
    assert folder.stop.exists()


BUSY = """
import hashlib, sys
from pathlib import Path
from interfaces.folders import RunFolder
from trainer.training.event_log import EventLog
from trainer.training.stop import StopBudget, StopSignal, StopWatcher
folder = RunFolder(Path(sys.argv[1]))
stop, log = StopSignal(folder, 1), EventLog(folder.events, 1)
stop.listen()
stop.budget = StopBudget() if sys.argv[2] == "holds" else None
StopWatcher(stop, folder, log).start()
print("busy", flush=True)
hashlib.pbkdf2_hmac("sha256", b"a library that does not listen", b"", 2_000_000_000)
"""


@pytest.mark.parametrize("how", ["save", "discard", "TERM"])
def test_stop_does_not_wait_for_busy_library(tmp_path: Path, how: str) -> None:
    folder = RunFolder(tmp_path)
    process = busy(folder, "nothing")
    ask(process, folder, how)
    assert process.wait(10) == 0
    (last,) = read_events(folder.events)
    assert (last.kind, getattr(last, "resumable", None)) == ("stopped", False)


def test_only_discard_ends_process_with_unsaved_progress(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    process = busy(folder, "holds")
    ask(process, folder, "save")
    until(lambda: bool(read_events(folder.events)))
    (reported,) = read_events(folder.events)
    assert isinstance(reported, Stopping)
    assert reported.within_seconds == WAY_OUT_SECONDS
    assert process.poll() is None
    ask(process, folder, "discard")
    assert process.wait(10) == 0


def busy(folder: RunFolder, holds: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, str(folder.path), holds], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    return process


def ask(process: subprocess.Popen[str], folder: RunFolder, how: str) -> None:
    if how == "TERM":
        process.terminate()
    else:
        write_json(folder.stop, {"mode": how, "attempt": 1})


def test_stop_bound_is_batch_plus_save_plus_exit() -> None:
    budget = StopBudget(save_bytes=2 * BYTES_PER_SECOND)
    assert budget.bound == MARGIN * 2 + WAY_OUT_SECONDS
    budget.begin()
    until(lambda: budget.bound > 0)
    budget.end_batch()
    assert MARGIN * 2 + WAY_OUT_SECONDS < budget.bound < MARGIN * 3 + WAY_OUT_SECONDS
    budget.begin()
    budget.end_save()  # what was measured takes the guess's place
    assert budget.bound < MARGIN * 1 + WAY_OUT_SECONDS
