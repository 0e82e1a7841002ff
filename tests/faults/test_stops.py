"""A stop in each phase is done within its bound, leaves no process, and the run continues to the same weights."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import Event, Finished, Phase, Step, Stopped, Stopping, read_tail
from interfaces.files import write_json
from interfaces.folders import Home, RunFolder
from interfaces.method_settings import METHODS
from tests.conftest import alpaca_rows, until, write_rows
from tests.faults.rig import (
    SEED,
    Attempt,
    Nursery,
    Result,
    check_equal,
    check_no_torn_commit,
    is_saving,
    method_job,
    new_run,
    rounds,
    run_to_the_end,
    until_then,
)
from tests.support.hub_server import serve

pytestmark = [pytest.mark.tiny, pytest.mark.alone]  # a stop is held to its bound by the clock
AT_ONCE_SECONDS = 3.0
"""Where nothing has to be saved; and what a process needs to leave."""
RESUMED = ("train", "evaluate", "save")
"""The phases of which a part is on the disk."""
PHASES = ("download", "tokenize", "model", "train", "evaluate", "save", "sample")


def reached(attempt: Attempt, phase: str) -> bool:
    """Whether an attempt is in a phase now, as far as its events tell."""
    if phase == "save":
        return is_saving(attempt.folder)
    reported = attempt.reported()
    last: Event | None = reported[-1] if reported else None
    if phase == "train":
        return isinstance(last, Step)
    if phase == "evaluate":  # it begins when step 15, 30, ... has been logged
        return isinstance(last, Step) and last.step % 15 == 0
    return isinstance(last, Phase) and last.phase == phase


@pytest.fixture(scope="module")
def hub(tiny_model: Path) -> Iterator[str]:
    with serve({"tiny/qwen2": tiny_model}, bytes_per_second=150_000) as server:
        yield server.endpoint


@pytest.fixture(scope="module")
def online(hub: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Attempts that fetch their model from a slow hub, each into a cache of its own choice."""
    cache = tmp_path_factory.mktemp("hub")
    made = Nursery(HF_ENDPOINT=hub, HF_HUB_OFFLINE="0", HF_HOME=str(cache))
    yield made
    made.close()


def stop(attempt: Attempt, mode: str) -> float:
    """Ask for a stop as page and terminal do; returns the seconds until the process was gone."""
    begun = time.monotonic()
    write_json(attempt.folder.stop, {"mode": mode, "attempt": attempt.number})
    until(attempt.is_over)
    return time.monotonic() - begun


def bound_of(attempt: Attempt) -> float:
    """What the run itself said that it needs; at once where it said nothing."""
    asked = [event for event in attempt.reported() if isinstance(event, Stopping)]
    return max([AT_ONCE_SECONDS, *(event.within_seconds for event in asked)])


def test_a_stop_in_any_phase_is_done_within_its_bound(
    home: Home, nursery: Nursery, online: Nursery, fault_job: dict[str, Any], undisturbed: Result, tmp_path: Path
) -> None:
    times, chance = rounds(7, "STOPS"), random.Random(SEED)
    many = write_rows(tmp_path / "many.jsonl", [*alpaca_rows(6000)])
    jobs = {
        "download": {**fault_job, "model_name": "tiny/qwen2"},
        "tokenize": {**fault_job, "dataset": str(many)},
        "sample": {**fault_job, "sample_prompts": ["Say 1."] * 9, "sample_max_new_tokens": 400},
    }
    slowest: dict[str, float] = {}
    for number in range(times):
        phase = PHASES[number % len(PHASES)]
        folder = new_run(home, jobs.get(phase, fault_job))
        seconds = stop_in(online if phase == "download" else nursery, folder, phase, number, chance)
        slowest[phase] = max(slowest.get(phase, 0.0), seconds)
        if phase in RESUMED:
            assert run_to_the_end(nursery, folder) == undisturbed, f"seed {SEED}: {phase}"
    print(
        f"{times} stops within their bounds; slowest by phase: "
        + ", ".join(f"{p} {s:.2f} s" for p, s in slowest.items())
    )


def stop_in(nursery: Nursery, folder: RunFolder, phase: str, number: int, chance: random.Random) -> float:
    """Stop a new run in a phase, every third time without saving; return the seconds that it took."""
    mode = "discard" if number % 3 == 2 else "save"
    attempt = nursery.start(folder)
    until(lambda: attempt.is_over() or reached(attempt, phase))
    until_then(attempt, chance.uniform(0, 0.03))
    seconds = stop(attempt, mode)
    code = attempt.wait()
    where = f"seed {SEED}: {mode} in {phase}"
    assert code == 0, f"{where}: {folder.log.read_text()[-2000:]}"
    assert seconds <= bound_of(attempt), f"{where}: {seconds:.1f} s of {bound_of(attempt):.1f}"
    assert isinstance(attempt.reported()[-1], Stopped | Finished), where
    check_no_torn_commit(folder)
    return seconds


KINDS = [*(name for name in METHODS if name != "sft"), "full"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_method_is_stopped_within_its_bound(
    home: Home, nursery: Nursery, tiny_model: Path, tmp_path: Path, kind: str
) -> None:
    config, chance = method_job(tiny_model, tmp_path, kind), random.Random(SEED)
    undisturbed = run_to_the_end(nursery, new_run(home, config))
    first = KINDS.index(kind)  # so that each phase has its turn, even with one stop for each method
    for number in range(first, first + rounds(1, "METHOD_STOPS")):
        folder, phase = new_run(home, config), RESUMED[number % 3]
        stop_in(nursery, folder, phase, number, chance)
        assert run_to_the_end(nursery, folder) == undisturbed, f"seed {SEED}: {phase}"


def test_stop_saves_the_last_complete_step(
    home: Home, nursery: Nursery, fault_job: dict[str, Any], undisturbed: Result
) -> None:
    folder = new_run(home, {**fault_job, "save_steps": 0})
    attempt = nursery.start(folder)
    until(lambda: reached(attempt, "train"))
    stop(attempt, "save")
    attempt.wait()
    last = read_tail(folder.events)[-1]
    assert isinstance(last, Stopped)
    assert last.resumable
    assert folder.checkpoint(last.step).is_dir()
    assert (folder.adapter / "adapter_model.safetensors").is_file()
    attempt = nursery.start(RunFolder(folder.path))
    assert attempt.wait() == 0
    check_equal(folder, undisturbed)
