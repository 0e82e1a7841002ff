"""A sweep's runs: all or none are started, a killed start is completed, and they are stopped and deleted at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from interfaces.run_records import RunMeta
from studio.finetune_manager import FinetuneManager
from studio.runs.names import next_name
from studio.runs.state import RunState, run_folders, run_state
from studio.runs.supervised_trainer import SupervisedTrainer
from studio.sweeps.family import complete_sweeps, delete_sweep, family, resume_sweep, start_sweep, stop_sweep
from trainer.data.dataset import add_dataset

ASKED = {"learning_rate": "1e-4, 1e-3", "seed": "1, 2"}


@pytest.fixture
def manager(home: Home) -> FinetuneManager:
    """Its queue is paused: nothing is trained here."""
    manager = FinetuneManager(SupervisedTrainer(), home)
    manager.queue.pause()
    return manager


@pytest.fixture
def config(home: Home, tmp_path: Path) -> dict[str, object]:
    file = tmp_path / "facts.jsonl"
    file.write_text('{"instruction": "Who?", "output": "I."}\n' * 3)
    return {"model_name": "starter", "dataset": add_dataset(home, file).id, "validation_split": 0}


def states(home: Home, sweep: str) -> list[RunState]:
    return [run_state(run) for run, _ in family(home, sweep)]


def test_all_runs_wait_and_know_their_values(manager: FinetuneManager, config: dict[str, object], home: Home) -> None:
    sweep = start_sweep(manager, config, ASKED)
    members = family(home, sweep)
    assert [point.values for _, point in members] == [
        {"learning_rate": rate, "seed": seed} for rate in (1e-4, 1e-3) for seed in (1, 2)
    ]
    assert [point.number for _, point in members] == [1, 2, 3, 4]
    assert [one.run for one in manager.queue.waiting()] == [run.id for run, _ in members]
    assert manager.config(members[3][0].id)["learning_rate"] == 1e-3
    assert RunMeta.of(members[0][0]).name == "facts #1: learning_rate=0.0001, seed=1"
    assert next_name(home, "facts.jsonl") == "facts #2"
    assert list(home.sweeps.glob("*.json")) == []


@pytest.mark.parametrize("done", [0, 1, 4, 5])
def test_a_killed_start_is_completed_without_doubles(
    manager: FinetuneManager, config: dict[str, object], home: Home, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    calls = 0
    create, launch = manager.create_task, manager.launch

    def counted(work):  # type: ignore[no-untyped-def]
        def call(*arguments, **more):  # type: ignore[no-untyped-def]
            nonlocal calls
            if calls == done:
                raise Killed
            calls += 1
            return work(*arguments, **more)

        return call

    monkeypatch.setattr(manager, "create_task", counted(create))
    monkeypatch.setattr(manager, "launch", counted(launch))
    with pytest.raises(Killed):
        start_sweep(manager, config, ASKED)
    monkeypatch.undo()
    complete_sweeps(manager)
    assert len(run_folders(home)) == 4
    assert len(manager.queue.waiting()) == 4
    complete_sweeps(manager)
    assert len(run_folders(home)) == 4


def test_a_start_that_fails_leaves_nothing(
    manager: FinetuneManager, config: dict[str, object], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(run: str) -> None:
        raise FineTuneError.of(Code.DISK_FULL, path="/", needed=1, free=0)

    monkeypatch.setattr(manager, "launch", refuse)
    with pytest.raises(FineTuneError):
        start_sweep(manager, config, ASKED)
    assert run_folders(home) == []
    assert list(home.sweeps.glob("*.json")) == []


def test_a_sweep_is_stopped_and_deleted_at_once(
    manager: FinetuneManager, config: dict[str, object], home: Home
) -> None:
    sweep, other = start_sweep(manager, config, ASKED), start_sweep(manager, config, {"seed": "7 8"})
    with pytest.raises(FineTuneError) as raised:
        delete_sweep(manager, sweep)
    assert raised.value.problems[0].code == Code.RUN_ACTIVE
    assert stop_sweep(manager, sweep) == 4
    assert set(states(home, sweep)) == {RunState.STOPPED}
    assert len(manager.queue.waiting()) == 2
    assert resume_sweep(manager, sweep) == 4
    assert len(manager.queue.waiting()) == 6
    stop_sweep(manager, sweep)
    (home.sweeps / f"{sweep}.json").write_text("{}")  # as if its start had not ended
    assert len(delete_sweep(manager, sweep)) == 4
    assert list(home.sweeps.glob("*.json")) == []
    assert len(family(home, other)) == 2
    for gone in (sweep, "../runs", "x" * 500):
        with pytest.raises(FineTuneError) as raised:
            family(home, gone)
        assert raised.value.problems[0].code == Code.SWEEP_NOT_FOUND
