"""The folder of an evaluation: a job with a run's files, an id of its own, and the run's home."""

from interfaces.folders import Home, RunFolder
from interfaces.job_folders import EvaluationFolder, job_at, job_named
from interfaces.run_control import Ticket


def test_an_evaluation_is_a_job_of_its_run(home: Home) -> None:
    run = home.create_run()
    folders = [EvaluationFolder.create(run) for _ in range(11)]
    assert [folder.number for folder in folders] == list(range(1, 12))
    last = folders[-1]
    assert (last.id, last.run, last.home) == (f"{run.id}.11", run, home)
    assert last.ticket == home.queue / f"{run.id}.11.json"
    for folder in folders:
        folder.config.write_text("{}")
    assert [folder.number for folder in EvaluationFolder.all_of(run)] == list(range(1, 12)), "by number, not by name"
    home.queue.mkdir(parents=True)
    Ticket("cpu", 1.0, attempts=0).write(last.ticket)
    assert last.is_waiting


def test_jobs_are_found_by_place_and_by_name(home: Home) -> None:
    run = home.create_run()
    folder = EvaluationFolder.create(run)
    assert job_at(folder.path) == folder
    assert isinstance(job_at(folder.path), EvaluationFolder)
    assert job_named(home, folder.id) == folder
    for found in (job_at(run.path), job_named(home, run.id)):
        assert type(found) is RunFolder
        assert found == run
