"""Evaluations in the queue: created with checks, executed by a supervisor, stopped, resumed, and deleted with care."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.evaluations import EvaluationSpec, GateOutcome
from interfaces.events import Finished
from interfaces.files import sha256_of
from interfaces.folders import Home, RunFolder
from interfaces.job_folders import EvaluationFolder
from interfaces.problems import Code
from interfaces.run_control import StopRequest
from studio.evaluation.evaluations import (
    check_gate,
    create,
    create_for_gate,
    delete,
    evaluation,
    finish,
    start_gate,
    state_of,
    submit,
)
from studio.processes.launcher import LocalLauncher
from studio.runs.jobs import stop_job
from studio.runs.queue import RunQueue
from studio.runs.state import RunState, find_job, run_state, summarize, summary_of
from studio.runs.trash import delete_run
from tests.conftest import alpaca_rows, until, write_rows
from tests.support.adapters import run_with_adapter
from tests.support.evaluations import answers, question, recorded_evaluation
from tests.support.records import recorded_run, step


def refused(run: RunFolder, **spec: Any) -> Code:
    with pytest.raises(FineTuneError) as caught:
        create(run, EvaluationSpec.model_validate(spec))
    assert not EvaluationFolder.all_of(run), "nothing is left of it"
    return caught.value.problems[0].code


def test_what_cannot_be_evaluated_is_refused_before_the_start(home: Home, tmp_path: Path) -> None:
    run = recorded_run(home)
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    unanswered = write_rows(tmp_path / "unanswered.jsonl", [{"instruction": "Say 1.", "output": ""}] * 3)
    assert refused(run) is Code.VALUE_MISSING
    assert refused(run, dataset=str(empty)) is Code.FILE_EMPTY
    assert refused(run, dataset=str(unanswered)) is Code.NOTHING_TO_EVALUATE
    assert refused(run, dataset=str(tmp_path / "gone.jsonl")) is Code.FILE_MISSING
    assert refused(run, dataset="held_out", pattern="(") is Code.VALUE_INVALID
    assert refused(run, dataset="held_out", metrics=["pattern_match"]) is Code.VALUE_MISSING
    assert refused(run, dataset="held_out", metrics=["json_schema"]) is Code.VALUE_MISSING
    assert refused(run, dataset="held_out", json_schema={"type": 3}) is Code.VALUE_INVALID
    elsewhere = {"$defs": {"a": {"type": "object"}}, "anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}]}
    assert refused(run, dataset="held_out", json_schema=elsewhere) is Code.VALUE_INVALID
    assert refused(run, dataset="held_out", gate="forgetting <= 2", base=False) is Code.VALUE_INVALID
    assert refused(run, dataset="held_out", gate="good enough") is Code.GATE_UNREADABLE
    keeps_none = recorded_run(home, validation_split=0)
    assert refused(keeps_none, dataset="held_out") is Code.NOTHING_HELD_OUT
    assert refused(recorded_run(home, method="reward"), dataset="held_out") is Code.SCORES_ONLY


def test_without_an_adapter_nothing_is_queued(home: Home) -> None:
    run = recorded_run(home)
    for spec, code in ((EvaluationSpec(probe=True), Code.NO_ADAPTER), (EvaluationSpec(probe=True, step=3), Code.NO_CHECKPOINT)):  # fmt: skip
        with pytest.raises(FineTuneError) as caught:
            submit(create(run, spec))
        assert caught.value.problems[0].code is code
    with pytest.raises(FineTuneError) as caught:
        evaluation(run, 9)
    assert caught.value.problems[0].params == {"run": run.id, "value": 9, "known": [1, 2]}
    assert not list(home.queue.glob("*.json"))


def test_a_file_becomes_a_dataset_with_its_name(home: Home, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "tests.jsonl", alpaca_rows(3))
    spec = EvaluationSpec.of(create(recorded_run(home), EvaluationSpec(dataset=str(file))))
    assert (spec.dataset_name, (home.dataset(spec.dataset)).report.is_file()) == ("tests.jsonl", True)
    assert spec.created > 1_700_000_000


@pytest.mark.tiny
def test_an_evaluation_waits_runs_stops_and_continues(home: Home, tiny_model: Path) -> None:
    run = run_with_adapter(home, tiny_model, bf16=False, cpu_threads=1)
    queue = RunQueue(home)
    queue.pause()
    folder = create(run, EvaluationSpec(probe=True, max_new_tokens=700, batch_size=2))
    submit(folder)
    [waiting] = queue.waiting()
    assert (waiting.run, waiting.kind, waiting.device) == (folder.id, "evaluation", "cpu")
    assert state_of(folder).state is RunState.QUEUED
    assert find_job(home, f"last.{folder.number}") == folder, "the terminal can move and cancel it"
    stop_job(folder)
    assert not queue.waiting(), "it has left the queue"
    submit(folder)
    queue.resume()
    until(lambda: state_of(folder, False).progress is not None)
    assert state_of(folder, False).state is RunState.RUNNING
    with pytest.raises(FineTuneError) as caught:
        delete_run(run)
    assert caught.value.problems[0].code is Code.RUN_ACTIVE
    with pytest.raises(FineTuneError):
        delete(folder)
    stop_job(folder)
    until(lambda: run_state(folder).is_over and LocalLauncher().find(folder) is None)
    stopped = state_of(folder)
    assert stopped.state is RunState.STOPPED
    kept = folder.answers.read_bytes() if folder.answers.exists() else b""
    spec = EvaluationSpec.of(folder)
    spec.model_copy(update={"max_new_tokens": 4}).write(folder)  # so that the rest takes less time
    submit(folder)
    until(lambda: run_state(folder).is_over and LocalLauncher().find(folder) is None)
    assert folder.answers.read_bytes().startswith(kept)
    # The process that handles the end scores it, without anybody's help.
    until(folder.result.is_file)
    done = state_of(folder)
    assert (done.state, done.over, done.outdated) == (RunState.FINISHED, True, False)
    assert done.result is not None
    assert done.result.probe_rows == 60
    with pytest.raises(FineTuneError) as caught:
        submit(folder)
    assert caught.value.problems[0].code is Code.RUN_FINISHED
    (run.adapter / "adapter_model.safetensors").write_bytes(b"trained further")
    assert state_of(folder).outdated
    delete(folder)
    assert EvaluationFolder.all_of(run) == []


def test_a_gate_is_decided_and_the_list_of_runs_shows_it(home: Home) -> None:
    run = recorded_run(home, step(1), Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1))
    run.adapter.mkdir()
    (run.adapter / "adapter_model.safetensors").write_bytes(b"w")
    (run.adapter / "README.md").write_text("# Card\n")
    assert summary_of(run).gate == ""
    sha256 = sha256_of(run.adapter / "adapter_model.safetensors")
    questions = [question(1, "Q", "yes")]
    for tuned, expected in (("yes", "passed"), ("no", "failed")):
        folder = recorded_evaluation(
            run, questions, answers(1, "no", tuned), adapter_sha256=sha256, gate="exact match > 0.5", recipe=True
        )
        finish(folder)
        assert summary_of(run).gate == summarize(run).gate == expected
    outcome = GateOutcome.of(run)
    assert outcome is not None
    assert (outcome.evaluation, outcome.failed) == (2, ["exact match > 0.5 (0)"])
    delete(EvaluationFolder.all_of(run)[0])
    assert summary_of(run).gate == "failed"
    delete(EvaluationFolder.all_of(run)[0])
    assert summary_of(run).gate == "", "it was decided by what is deleted"


def test_the_card_holds_the_newest_evaluation_of_the_result(home: Home) -> None:
    run = recorded_run(home, step(1), Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1))
    run.adapter.mkdir()
    (run.adapter / "adapter_model.safetensors").write_bytes(b"w")
    card = run.adapter / "README.md"
    card.write_text("# Card\n")
    sha256 = sha256_of(run.adapter / "adapter_model.safetensors")
    for name, more in (("old.jsonl", {}), ("new.jsonl", {}), ("of-a-step.jsonl", {"step": 3})):
        recorded_evaluation(
            run, [question(1, "Q", "yes")], answers(1, "no", "yes"), adapter_sha256=sha256, dataset_name=name, **more
        )
    for folder in reversed(EvaluationFolder.all_of(run)):
        finish(folder)
    assert "rows of new.jsonl" in card.read_text()
    assert card.read_text().count("## Evaluation") == 1


def test_the_evaluation_of_a_recipe_starts_when_its_run_has_finished(home: Home, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "tests.jsonl", alpaca_rows(3))
    RunQueue(home).pause()
    run = recorded_run(home, step(1))
    config = FineTuneConfig(dataset="d", evaluation_dataset=str(file), gate="forgetting <= 2")
    create_for_gate(run, config)
    create_for_gate(run, FineTuneConfig(dataset="d"))
    [folder] = EvaluationFolder.all_of(run)
    spec = EvaluationSpec.of(folder)
    assert (spec.dataset_name, spec.probe, spec.gate) == ("tests.jsonl", True, "forgetting <= 2")
    assert state_of(folder).after_training
    start_gate(run)
    assert not RunQueue(home).waiting(), "the run isn't finished"
    finished = recorded_run(home, step(1), Finished(step=1, adapter="adapter", peak_memory_bytes=1, seconds=1))
    shutil.copytree(run.evaluations, finished.evaluations)
    finished.adapter.mkdir()
    (finished.adapter / "adapter_config.json").write_text("{}")
    assert not state_of(EvaluationFolder.all_of(finished)[0]).after_training, "it can be started by hand"
    start_gate(finished)
    start_gate(finished)
    assert [one.run for one in RunQueue(home).waiting()] == [f"{finished.id}.1"]
    stop_job(EvaluationFolder.all_of(finished)[0])
    start_gate(finished)
    assert not RunQueue(home).waiting(), "somebody has removed it"
    submit(EvaluationFolder.all_of(finished)[0])
    assert RunQueue(home).waiting()


def test_a_gate_needs_rows_to_decide_it() -> None:
    with pytest.raises(FineTuneError, match="evaluation_dataset"):
        check_gate(FineTuneConfig(dataset="d", gate="loss < 1", validation_split=0))
    check_gate(FineTuneConfig(dataset="d", gate="loss < 1"))
    with pytest.raises(FineTuneError):
        check_gate(FineTuneConfig(dataset="d", gate="good"))


def test_a_request_to_stop_names_the_attempt(home: Home) -> None:
    run = recorded_run(home)
    folder = recorded_evaluation(run, [], [], finished=False)
    with pytest.raises(FineTuneError) as caught:
        stop_job(EvaluationFolder(folder.path))
    assert caught.value.problems[0].code is Code.RUN_NOT_ACTIVE
    assert StopRequest.of(folder.stop) is None


def test_a_metric_that_no_row_can_have_is_named(home: Home) -> None:
    folder = recorded_evaluation(recorded_run(home), [question(1, "Q", "yes")], answers(1, "no", "yes")[:1])
    warnings = state_of(folder).warnings
    assert [problem.code for problem in warnings] == [Code.METRIC_NOT_MEASURED]
    assert "exact_match" in warnings[0].params["known"]
