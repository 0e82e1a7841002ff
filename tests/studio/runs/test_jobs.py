"""How far a job is, and what can be done with it."""

from __future__ import annotations

import pytest

from interfaces.errors import FineTuneError
from interfaces.events import Failed, Phase, Warned
from interfaces.folders import Home
from interfaces.job_folders import EvaluationFolder, ExportFolder, JobFolder
from interfaces.problems import Code, Problem
from studio.processes.launcher import LocalLauncher
from studio.runs.jobs import delete_job, job_state, stop_job, submit_job
from studio.runs.state import RunState
from tests.conftest import until
from tests.support.evaluations import recorded_evaluation
from tests.support.fakes import fake_trainer
from tests.support.records import recorded_run


def begun(folder: JobFolder, *events: object) -> JobFolder:
    folder.config.write_text("{}")
    folder.create_attempt()
    lines = [event.model_copy(update={"seq": at, "attempt": 1}) for at, event in enumerate(events, start=1)]  # type: ignore[attr-defined]
    folder.events.write_text("".join(line.model_dump_json() + "\n" for line in lines))
    return folder


@pytest.mark.parametrize("kind", [EvaluationFolder, ExportFolder])
def test_a_job_says_what_it_does(home: Home, kind: type[JobFolder]) -> None:
    warning = Problem.warning(Code.LEAK_REMOVED, count=1, rows=2, first=[1])
    going = job_state(
        begun(kind.create(recorded_run(home)), Warned(problem=warning), Phase(phase="export", done=3, total=9))
    )
    assert (going.phase, going.progress, going.warnings, going.over) == ("export", (3, 9), [warning], False)


def test_a_job_that_failed_says_why(home: Home) -> None:
    problem = Problem.error(Code.OUTPUT_EXISTS, path="/x")
    failed = job_state(
        begun(ExportFolder.create(recorded_run(home)), Phase(phase="export"), Failed(step=0, problem=problem))
    )
    assert (failed.state, failed.over, failed.phase, failed.progress, failed.problem) == (
        RunState.FAILED,
        True,
        "",
        None,
        problem,
    )


def test_a_job_that_is_over_cannot_be_stopped_and_is_deleted(home: Home) -> None:
    folder = recorded_evaluation(recorded_run(home), [], [])
    for act in (lambda: stop_job(folder), lambda: submit_job(folder, None)):
        with pytest.raises(FineTuneError) as caught:
            act()
        assert caught.value.problems[0].code in (Code.RUN_NOT_ACTIVE, Code.RUN_FINISHED)
    delete_job(folder)
    assert not EvaluationFolder.all_of(folder.run)


@pytest.mark.parametrize("kind", [EvaluationFolder, ExportFolder])
def test_a_job_is_deleted_although_its_finished_process_still_frees_memory(home: Home, kind: type[JobFolder]) -> None:
    folder = kind.create(recorded_run(home))
    folder.config.write_text("{}")
    LocalLauncher(fake_trainer("lingers")).start(folder)
    until(lambda: job_state(folder).over)
    delete_job(folder)
    assert not kind.all_of(folder.run)
