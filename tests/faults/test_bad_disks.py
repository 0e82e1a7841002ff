"""A disk that fills up, or that fails, in the midst of a write: reported with path and figures, nothing torn, and the
run goes on to the same weights once there is space."""

import contextlib
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Failed, Finished
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code, Problem
from interfaces.texts import sentence
from tests.faults.disks import small_disk
from tests.faults.rig import (
    SEED,
    Attempt,
    Moments,
    Nursery,
    Result,
    check_equal,
    check_no_torn_commit,
    new_run,
    rounds,
    run_to_the_end,
    until_then,
)

pytestmark = pytest.mark.tiny
DISK_BYTES = 24 << 20
CALLS = ("write", "fsync", "rename", "ftruncate", "openat")


def last_word(folder: RunFolder, attempt: Attempt) -> Problem | None:
    """Why an attempt failed, by its own account."""
    reported = attempt.reported()
    last = reported[-1] if reported else None
    assert not isinstance(last, Finished)
    return last.problem if isinstance(last, Failed) else None


def test_full_disk_reports_needed_and_free_space(
    nursery: Nursery, fault_job: dict[str, Any], undisturbed: Result, tmp_path: Path
) -> None:
    times, moments, chance = rounds(2, "FULL_DISKS"), Moments(), random.Random(SEED)
    done = 0
    with small_disk(tmp_path / "small", DISK_BYTES) as disk:
        home = Home(disk / "home")
        folder, ballast = new_run(home, fault_job), disk / "ballast"
        while done < times:
            attempt = nursery.start(folder)
            if moments.wait(attempt, longest=1.5):
                fill(ballast, shutil.disk_usage(disk).free - chance.choice([0, 3, 300, 5_000, 90_000, 400_000]))
            if attempt.wait() == 0:  # it was over before anything more had to be written
                ballast.unlink(missing_ok=True)
                check_equal(folder, undisturbed)
                shutil.rmtree(home.runs)
                folder = new_run(home, fault_job)
                continue
            done += 1
            problem = last_word(folder, attempt)
            assert problem is not None, f"seed {SEED}: {folder.log.read_text()[-2000:]}"
            assert problem.code == Code.DISK_FULL, f"seed {SEED}: {problem}"
            words = sentence(problem)
            assert str(disk) in words, words
            assert problem.params["free"] < 1_000_000 or problem.params["free"] < problem.params["needed"], words
            check_no_torn_commit(folder)
            ballast.unlink()
        assert run_to_the_end(nursery, folder) == undisturbed
    print(f"{done} full disks ({moments.into_saves} into a save): reported, nothing torn, equal")


def fill(path: Path, size: int) -> None:
    """Take up space, as another program would: as much as there still is."""
    path.touch()
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while (missing := size - file.tell()) > 0:
            file.write(bytes(min(missing, 1 << 16)))


@pytest.mark.skipif(
    shutil.which("strace") is None, reason="no strace, which makes a system call fail: apt install strace"
)
def test_failed_write_reports_its_path(
    home: Home, nursery: Nursery, fault_job: dict[str, Any], undisturbed: Result
) -> None:
    times, chance = rounds(2, "BAD_WRITES"), random.Random(SEED)
    done = silent = 0
    folder = new_run(home, fault_job)
    while done < times:
        attempt = nursery.start(folder)
        until_then(attempt, chance.uniform(0, 0.8))
        call, number, error = chance.choice(CALLS), chance.randrange(1, 12), chance.choice(["EIO", "ENOSPC"])
        paths = [option for path in watched(folder) for option in ("-P", str(path))]
        inject = f"inject={call}:error={error}:when={number}"
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", "/dev/null", *paths, "-e", inject, "-p", str(attempt.pid)],
            stderr=subprocess.DEVNULL,
        )
        code = attempt.wait()
        tracer.wait(20)
        check_no_torn_commit(folder)
        if code == 0:
            check_equal(folder, undisturbed)
            folder = new_run(home, fault_job)
            silent += 1
            continue
        done += 1
        problem = last_word(folder, attempt)
        assert problem is not None, f"seed {SEED}, {inject}: {folder.log.read_text()[-2000:]}"
        assert problem.code in (Code.DISK_ERROR, Code.DISK_FULL), f"seed {SEED}, {inject}: {problem}"
        assert str(home.path) in sentence(problem), f"seed {SEED}, {inject}: {sentence(problem)}"
    assert run_to_the_end(nursery, folder) == undisturbed
    print(f"{done} failed writes ({silent} attempts met none): reported, nothing torn, equal")


def watched(folder: RunFolder) -> list[Path]:
    """What the trainer writes in the midst of a run; strace takes names that are there when it starts, too."""
    saved = [folder.staging / f"checkpoint-{step}" for step in range(7, 127, 7)]
    names = ("adapter_model.safetensors", "optimizer.pt", "trainer_state.json", "MANIFEST.json")
    return [
        folder.events,
        folder.checkpoints,
        folder.staging,
        *saved,
        *(path / name for path in saved for name in names),
    ]


def test_ballast_really_fills_the_disk(tmp_path: Path) -> None:
    """The ballast takes what it is set to: else a full disk is none."""
    with small_disk(tmp_path / "small", 1 << 20) as disk:
        fill(disk / "ballast", shutil.disk_usage(disk).free)
        with pytest.raises(OSError, match="No space left"):
            (disk / "more").write_bytes(bytes(10_000))
        before = (disk / "ballast").stat().st_size
        fill(disk / "ballast", -5)  # no more is free than is to stay free
        assert (disk / "ballast").stat().st_size == before
