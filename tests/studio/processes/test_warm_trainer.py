"""A pair that waits: real processes that get their run later, and behave as any pair from then on."""

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from interfaces.files import read_json, write_json
from interfaces.folders import Attempt, Home, RunFolder
from interfaces.history import RunHistory
from interfaces.process import ProcessIdentity
from studio.processes import warm_trainer as warm_trainer
from studio.processes.launcher import LocalLauncher
from studio.runs.state import any_run_is_active, follow
from tests.conftest import until
from tests.support.fakes import FAKE_TRAINER

pytestmark = pytest.mark.process

WAITS = f"""
import json, os, sys
open("warm-trainer/ready", "w").close()
line = sys.stdin.readline()
if not line:
    sys.exit(0)
request = json.loads(line)
os.chdir(request["folder"])
log = os.open("trainer.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.dup2(log, 1); os.dup2(log, 2)
sys.argv = ["-c", request["folder"], str(request["attempt"]), "SCRIPT"]
exec({FAKE_TRAINER!r})
"""


def waiting(script: str = "finishes") -> list[str]:
    return [sys.executable, "-P", "-c", WAITS.replace("SCRIPT", script)]


@pytest.fixture
def kept(home: Home) -> Iterator[Home]:
    """A home in which a trainer waits."""
    assert warm_trainer.keep_warm_trainer(home, waiting())
    until(home.warm_trainer.ready.exists)
    yield home
    warm_trainer.end_warm_trainer(home)


def new_run(home: Home) -> RunFolder:
    folder = home.create_run()
    folder.config.write_text("{}")
    return folder


def pids(record: Path) -> dict[str, ProcessIdentity | None]:
    reported = read_json(record) or {}
    return {who: ProcessIdentity.from_record(reported.get(who)) for who in ("supervisor", "trainer")}


def gone(attempt: Attempt) -> bool:
    return LocalLauncher().state(attempt) == "gone"


def test_run_uses_warm_trainer_and_ends_normally(kept: Home) -> None:
    waits = pids(kept.warm_trainer.record)
    state = warm_trainer.warm_trainer_state(kept)
    assert state.state == "waiting"
    assert 1_000_000 < state.memory_bytes < 100_000_000
    folder = new_run(kept)
    attempt = LocalLauncher().start(folder)
    assert pids(attempt.pid) == waits
    assert warm_trainer.warm_trainer_state(kept).state == "none"
    for _ in follow(RunHistory(folder)):
        pass
    until(lambda: gone(attempt))
    assert (read_json(attempt.exit) or {})["returncode"] == 0
    assert folder.log.read_text() == "done\n"
    assert not kept.warm_trainer.path.exists()


def test_one_of_two_concurrent_runs_gets_warm_trainer(home: Home) -> None:
    assert warm_trainer.keep_warm_trainer(home, waiting("waits"))
    until(home.warm_trainer.ready.exists)
    waits = pids(home.warm_trainer.record)
    folders = [new_run(home), new_run(home)]
    got = {}
    threads = [
        threading.Thread(
            target=lambda f=folder: got.update({f.id: warm_trainer.take_warm_trainer(f, f.create_attempt())})
        )
        for folder in folders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got.values()) == [False, True]
    winner = next(folder for folder in folders if got[folder.id])
    assert pids(winner.attempts()[0].pid) == waits
    assert any_run_is_active(home)
    (winner.path / "go on").touch()
    until(lambda: gone(winner.attempts()[0]))


def test_warm_trainer_requires_same_environment(kept: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    folder = new_run(kept)
    assert not warm_trainer.take_warm_trainer(folder, folder.create_attempt())
    assert warm_trainer.warm_trainer_state(kept).state != "none"
    before = pids(kept.warm_trainer.record)["supervisor"]
    assert before is not None
    assert warm_trainer.keep_warm_trainer(kept, waiting())  # and it is replaced by one that fits
    assert not before.is_alive()
    until(kept.warm_trainer.ready.exists)
    assert warm_trainer.take_warm_trainer(folder, folder.create_attempt())


@pytest.mark.parametrize("victim", ["supervisor", "trainer"])
def test_dead_warm_trainer_is_not_used(kept: Home, victim: str) -> None:
    killed = pids(kept.warm_trainer.record)
    killed[victim].send(signal.SIGKILL)
    until(lambda: not any(identity.is_alive() for identity in killed.values()))
    folder = new_run(kept)
    assert not warm_trainer.take_warm_trainer(folder, folder.create_attempt())
    assert warm_trainer.warm_trainer_state(kept).model_dump() == {"state": "none", "memory_bytes": 0}


def test_loading_warm_trainer_gets_no_run(home: Home) -> None:
    loads = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    assert warm_trainer.keep_warm_trainer(home, loads)
    pair = pids(home.warm_trainer.record)
    assert warm_trainer.warm_trainer_state(home).state == "loading"
    folder = new_run(home)
    assert not warm_trainer.take_warm_trainer(folder, folder.create_attempt())
    until(lambda: not any(identity.is_alive() for identity in pair.values()))


def test_newer_warm_trainer_survives_folder_removal(home: Home) -> None:
    assert warm_trainer.keep_warm_trainer(home, waiting())
    old = pids(home.warm_trainer.record)
    home.warm_trainer.path.rename(home.path / "away")  # in one move: the trainer may just be saying that it is ready
    assert warm_trainer.keep_warm_trainer(home, waiting())
    new = pids(home.warm_trainer.record)
    until(lambda: not any(identity.is_alive() for identity in old.values()))
    assert all(identity.is_alive() for identity in new.values())
    assert pids(home.warm_trainer.record) == new
    warm_trainer.end_warm_trainer(home)


def test_unwritable_home_has_no_warm_trainer(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.cache.write_text("a file where a folder should be")
    assert not warm_trainer.keep_warm_trainer(home, waiting())
    warm_trainer.end_warm_trainer(home)
    assert warm_trainer.warm_trainer_state(home).state == "none"


def test_warm_trainer_ends_on_request_or_folder_removal(home: Home) -> None:
    for end in (warm_trainer.end_warm_trainer, lambda home: home.warm_trainer.path.rename(home.path / "away")):
        assert warm_trainer.keep_warm_trainer(home, waiting())
        assert warm_trainer.keep_warm_trainer(home, waiting())  # one is enough
        pair = pids(home.warm_trainer.record)
        end(home)
        until(lambda pair=pair: not any(identity.is_alive() for identity in pair.values()))


def test_warm_trainer_with_too_much_memory_is_ended(home: Home) -> None:
    greedy = [sys.executable, "-c", "import sys; held = b'x' * 1_600_000_000; sys.stdin.read()"]
    assert warm_trainer.keep_warm_trainer(home, greedy)
    pair = pids(home.warm_trainer.record)
    until(lambda: not any(identity.is_alive() for identity in pair.values()))
    assert not home.warm_trainer.path.exists()


def test_no_warm_trainer_when_memory_is_short(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_trainer, "LEAST_AVAILABLE_BYTES", 1 << 62)
    assert not warm_trainer.keep_warm_trainer(home, waiting())
    assert not home.warm_trainer.path.exists()


def test_the_setting_ends_the_warm_trainer_and_keeps_other_settings(kept: Home) -> None:
    write_json(kept.settings, {"hf_endpoint": "https://hf-mirror.com"})
    assert warm_trainer.warm_trainer_wanted(kept)
    warm_trainer.want_warm_trainer(kept, False)
    assert not warm_trainer.warm_trainer_wanted(kept)
    until(lambda: warm_trainer.warm_trainer_state(kept).state == "none")
    warm_trainer.want_warm_trainer(kept, True)
    assert warm_trainer.warm_trainer_wanted(kept)
    assert (read_json(kept.settings) or {})["hf_endpoint"] == "https://hf-mirror.com"
