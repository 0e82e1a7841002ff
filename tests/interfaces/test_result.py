from pathlib import Path

import pytest

from interfaces.events import Evaluated, Event, Failed, Finished, Started, Step
from interfaces.finetune import TrainingResult
from interfaces.folders import RunFolder
from interfaces.history import RunHistory
from interfaces.problems import Code, Problem
from interfaces.result import result_of


def step(number: int, loss: float, tokens: int = 100, seconds: float = 2.0) -> Step:
    return Step(
        step=number, total_steps=3, epoch=1.0, loss=loss, learning_rate=1e-3, tokens=tokens, trained_tokens=2,
        seconds=seconds, memory_bytes=number * 10, time=100.0 + number,
    )  # fmt: skip


def reported(folder: RunFolder, events: list[Event]) -> RunHistory:
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.events.write_text("".join(event.model_dump_json() + "\n" for event in events))
    return RunHistory(folder).refresh()


STARTED = Started(run="r", model_name="m", device="cpu", dtype="float32", threads=1, time=99.0)


def test_a_finished_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    folder.adapter.mkdir(parents=True)
    finished = Finished(step=3, adapter="adapter", peak_memory_bytes=99, seconds=5.0, time=110.0)
    measured = Evaluated(step=3, loss=0.5, examples=2, seconds=0.1, time=104.0)
    result = result_of(reported(folder, [STARTED, step(1, 3.0), step(2, 2.0), step(3, 1.0), measured, finished]))
    assert set(result) == set(TrainingResult.__annotations__)
    assert result["state"] == "finished"
    assert result["adapter"] == str(folder.adapter)
    assert (result["train_loss_first"], result["train_loss_last"], result["eval_loss"]) == (3.0, 1.0, 0.5)
    assert result["tokens_per_second"] == pytest.approx(50.0)
    assert result["peak_memory_bytes"] == 99
    assert result["seconds"] == pytest.approx(11.0)
    assert result["problem"] is None


def test_failed_run_has_its_reason(tmp_path: Path) -> None:
    problem = Problem.error(Code.FILE_MISSING, path="a")
    result = result_of(reported(RunFolder(tmp_path / "r"), [STARTED, Failed(step=0, problem=problem)]))
    assert (result["state"], result["adapter"], result["steps"]) == ("failed", None, 0)
    assert Problem.model_validate(result["problem"]) == problem


def test_run_without_final_event_is_interrupted(tmp_path: Path) -> None:
    assert result_of(reported(RunFolder(tmp_path / "r"), [STARTED, step(1, 3.0)]))["state"] == "interrupted"
    assert result_of(reported(RunFolder(tmp_path / "r"), []))["state"] == "interrupted"
