import subprocess
import sys
from pathlib import Path

import pytest

from interfaces.folders import RunFolder, write_json
from trainer.stop import StopRequest, StopRequested


@pytest.mark.parametrize(
    ("record", "mode"),
    [
        ({"mode": "save", "attempt": 2}, "save"),
        ({"mode": "discard", "attempt": 2}, "discard"),
        ({"mode": "save", "attempt": 1}, None),
        ({}, "save"),
    ],
)
def test_the_file_says_how_and_to_which_attempt(tmp_path: Path, record: dict[str, object], mode: str | None) -> None:
    stop = StopRequest(RunFolder(tmp_path), 2)
    assert stop.mode is None
    stop.check()
    write_json(RunFolder(tmp_path).stop, record)
    assert stop.mode == mode
    if mode:
        with pytest.raises(StopRequested):
            stop.check()


def test_an_empty_file_made_by_hand_is_a_request_too(tmp_path: Path) -> None:
    RunFolder(tmp_path).stop.touch()
    assert StopRequest(RunFolder(tmp_path), 1).mode == "save"


def test_a_signal_is_a_request_and_twice_is_no_harm(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom interfaces.folders import RunFolder\nfrom trainer.stop import StopRequest\n"
        f"stop = StopRequest(RunFolder(Path({str(tmp_path)!r})), 1)\nstop.listen()\n"
        "os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGTERM)\nprint(stop.mode)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "save"


def test_an_empty_file_that_was_obeyed_does_not_stop_the_next_attempt(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.stop.touch()
    StopRequest(folder, 1).forget_handmade()
    assert StopRequest(folder, 2).mode is None
    write_json(folder.stop, {"mode": "save", "attempt": 2})
    StopRequest(folder, 2).forget_handmade()
    assert folder.stop.exists()
