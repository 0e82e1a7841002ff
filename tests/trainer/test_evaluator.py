"""One evaluation from start to end: the run's own validation loss, the same table after ten kills, and what prevents it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interfaces.evaluations import EvaluationSpec, read_lines
from interfaces.events import Failed, Finished, Phase, Started, Warned, read_events
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import EvaluationFolder
from interfaces.problems import Code
from interfaces.run_config import write_run_config
from interfaces.run_records import Lineage
from studio.evaluation.scoring import result_of
from tests.conftest import alpaca_rows, write_rows
from tests.support.tiny_runs import train

pytestmark = pytest.mark.tiny


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> RunFolder:
    place = tmp_path_factory.mktemp("evaluated")
    rows = write_rows(place / "rows.jsonl", alpaca_rows(40))
    config: dict[str, Any] = {
        "model_name": str(tiny_model), "dataset": str(rows), "max_length": 128, "num_train_epochs": 2,
        "validation_split": 0.25, "learning_rate": 1e-2, "bf16": False, "cpu_threads": 1, "eval_steps": 0.5,
        "gradient_accumulation_steps": 1, "save_steps": 0.5,
    }  # fmt: skip
    folder = Home(place / "home").create_run()
    write_run_config(folder, config)
    _, result = train(Home(place / "home"), config, folder)
    assert result["state"] == "finished"
    return folder


@pytest.fixture
def run(trained: RunFolder, home: Home) -> RunFolder:
    """A copy, which a test may change."""
    shutil.copytree(trained.home.path, home.path)
    return home.run(trained.id)


def written(run: RunFolder, **spec: Any) -> EvaluationFolder:
    folder = EvaluationFolder.create(run)
    EvaluationSpec.model_validate({"dataset": "held_out", "max_new_tokens": 12, "batch_size": 4, **spec}).write(folder)
    return folder


def evaluated(folder: EvaluationFolder, attempt: int = 1) -> list[Any]:
    from trainer.evaluator import evaluate

    evaluate(folder, attempt, listens=False)
    return list(read_events(folder.events))


def test_the_loss_is_the_runs_own_and_progress_is_told(run: RunFolder, trained: RunFolder) -> None:
    from interfaces.history import RunHistory

    folder = written(run, probe=True)
    events = evaluated(folder)
    assert isinstance(events[-1], Finished)
    answering = [event for event in events if isinstance(event, Phase) and event.phase == "answer"]
    assert (answering[-1].done, answering[-1].total) == (160, 160), "10 losses, 10 answers and 60 general ones, twice"
    result = result_of(folder)
    assert result is not None
    loss = result.metric("loss")
    assert loss is not None
    assert loss.tuned == pytest.approx(RunHistory(trained).refresh().validation.losses[-1], rel=1e-3)
    assert loss.base is not None
    assert loss.base > loss.tuned
    assert (result.data_rows, result.probe_rows) == (10, 60)


def test_a_whole_model_is_asked_in_the_place_of_its_base(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    from interfaces.history import RunHistory

    rows = write_rows(tmp_path / "rows.jsonl", alpaca_rows(40))
    config = {
        "model_name": str(tiny_model), "dataset": str(rows), "max_length": 128, "num_train_epochs": 2, "tuning": "full",
        "validation_split": 0.25, "learning_rate": 3e-3, "bf16": False, "cpu_threads": 1, "eval_steps": 0.5,
        "gradient_accumulation_steps": 1,
    }  # fmt: skip
    folder = home.create_run()
    write_run_config(folder, config)
    train(home, config, folder)
    asked = written(folder)
    assert isinstance(evaluated(asked)[-1], Finished)
    result = result_of(asked)
    assert result is not None
    loss = result.metric("loss")
    assert loss is not None
    assert loss.tuned == pytest.approx(RunHistory(folder).refresh().validation.losses[-1], rel=1e-3)
    assert loss.base is not None
    assert loss.base > loss.tuned


def test_an_evaluation_killed_at_ten_moments_has_the_same_table(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kill is in the middle of writing a batch: some lines are on the disk, and the last one is torn."""
    from trainer import evaluator

    whole = written(run)
    assert isinstance(evaluated(whole)[-1], Finished)
    folder, own = written(run), evaluator._Appender.write
    kills = 0

    class Killed(BaseException):
        pass

    def killed(self: Any, lines: Any) -> None:
        nonlocal kills
        kept = list(lines)[: kills % 3]
        own(self, kept)
        self._file.write(b'{"side": "base", "number": 3, "answ')
        self._file.flush()
        if kills < 10:
            kills += 1
            raise Killed
        own(self, [])

    for attempt in range(1, 11):
        moments = iter([False] * ((attempt - 1) % 2) + [True])

        def write(self: Any, lines: Any, moments: Iterator[bool] = moments) -> None:
            (killed if next(moments) else own)(self, lines)

        monkeypatch.setattr(evaluator._Appender, "write", write)
        with pytest.raises(Killed):
            evaluated(folder, attempt)
    monkeypatch.setattr(evaluator._Appender, "write", own)
    assert kills == 10
    assert isinstance(evaluated(folder, 11)[-1], Finished)
    first, second = result_of(whole), result_of(folder)
    assert first is not None
    assert second is not None
    assert second.table == first.table
    assert second.rows == first.rows


def test_each_attempt_computes_in_the_runs_own_way(run: RunFolder) -> None:
    lineage = Lineage.of(run)
    assert lineage is not None
    machine = lineage.machine.model_copy(update={"dtype": "bfloat16", "threads": 1})
    lineage.model_copy(update={"machine": machine}).write(run)
    [started] = [event for event in evaluated(written(run, base=False)) if isinstance(event, Started)]
    assert (started.dtype, started.threads) == ("bfloat16", 1)


def test_a_complete_evaluation_loads_no_model(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(run, base=False)
    evaluated(folder)
    assert {line.side for line in read_lines(folder)} == {"tuned"}
    monkeypatch.setattr("trainer.models.base_model.load_model", None)
    assert isinstance(evaluated(folder, 2)[-1], Finished)


def test_a_run_that_was_trained_further_is_evaluated_anew(run: RunFolder) -> None:
    folder = written(run, base=False)
    evaluated(folder)
    shutil.copy(run.checkpoint(8) / "adapter_model.safetensors", run.adapter / "adapter_model.safetensors")
    before = folder.answers.read_bytes()
    folder.votes.write_text("{}")
    evaluated(folder, 2)
    assert folder.answers.read_bytes() != before
    assert not folder.votes.exists(), "they were on answers that are gone"
    of_the_checkpoint = written(run, base=False, step=8)
    evaluated(of_the_checkpoint)
    assert result_of(of_the_checkpoint) == result_of(folder)


def test_what_prevents_an_evaluation_is_a_sentence(run: RunFolder, tiny_model: Path, tmp_path: Path) -> None:
    def problem(**spec: Any) -> Code:
        [*_, last] = evaluated(written(run, **spec))
        assert isinstance(last, Failed)
        return last.problem.code

    assert problem(step=7) is Code.NO_CHECKPOINT
    assert problem(dataset="0123456789abcdef") is Code.DATASET_NOT_FOUND
    other = shutil.copytree(tiny_model, tmp_path / "other")
    with (other / "model.safetensors").open("r+b") as file:
        file.seek(-8, 2)
        file.write(b"\0" * 8)
    config = run.config.read_text()
    run.config.write_text(config.replace(str(tiny_model), str(other)))
    assert problem() is Code.BASE_CHANGED
    run.config.write_text(config)
    shutil.rmtree(run.adapter)
    assert problem() is Code.NO_ADAPTER


def test_rows_that_were_trained_on_are_said(run: RunFolder, tmp_path: Path) -> None:
    tests = write_rows(tmp_path / "tests.jsonl", alpaca_rows(44))
    folder = written(run, dataset=str(tests), dataset_name="tests.jsonl", base=False)
    events = evaluated(folder)
    assert [event.problem.code for event in events if isinstance(event, Warned)] == [Code.LEAK_REMOVED]
    result = result_of(folder)
    assert result is not None
    assert (result.data_rows, result.leaked) == (14, 30)
