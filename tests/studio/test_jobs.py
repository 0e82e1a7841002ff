import threading

import pytest

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from interfaces.trainer_jobs import AddedDataset, FormatPreview, JobProgress, OnProgress
from studio.jobs import DatasetJob, DatasetJobs
from tests.conftest import until


def ended(job: DatasetJob) -> DatasetJob:
    for thread in threading.enumerate():
        if thread.name == f"dataset-{job.id}":
            thread.join(10)
    assert job.ended is not None
    return job


def test_job_reports_progress_and_result() -> None:
    jobs, may_end = DatasetJobs(), threading.Event()

    preview = FormatPreview(name="a", format="text", columns={}, known_columns=[], examples=[])

    def work(tell: OnProgress) -> AddedDataset:
        tell(JobProgress(preview=preview))
        tell(JobProgress(progress=(5, 10), rows=3))
        may_end.wait(10)
        return AddedDataset(dataset="x")

    job = jobs.start(work)
    until(lambda: job.rows > 0 or job.ended is not None)
    assert (job.ended, job.progress, job.preview) == (None, (5, 10), preview)
    may_end.set()
    assert ended(jobs.get(job.id)).result == AddedDataset(dataset="x")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FineTuneError.of(Code.FILE_EMPTY, path="a"), Code.FILE_EMPTY),
        (OSError(5, "broken disk", "a"), Code.FILE_UNREADABLE),
    ],
)
def test_job_error_is_its_result(error: Exception, code: Code) -> None:
    def work(_tell):
        raise error

    job = ended(DatasetJobs().start(work))
    assert job.result is None
    assert [problem.code for problem in job.problems] == [code]


def test_unknown_job_is_a_problem() -> None:
    with pytest.raises(FineTuneError):
        DatasetJobs().get("none")


def test_many_jobs_wait_and_too_many_are_rejected() -> None:
    jobs, may_end, at_once = DatasetJobs(), threading.Event(), []
    running = threading.Semaphore(0)

    def work(_tell):
        at_once.append(1)
        running.release()
        may_end.wait(30)
        return {}

    started = [jobs.start(work) for _ in range(DatasetJobs.MOST)]
    for _ in range(DatasetJobs.AT_ONCE):
        assert running.acquire(timeout=10)
    assert len(at_once) == DatasetJobs.AT_ONCE
    with pytest.raises(FineTuneError, match="50 jobs of this kind"):
        jobs.start(work)
    may_end.set()
    for job in started:
        assert ended(job).result == {}
    jobs.start(work)


def test_started_work_skips_the_job_queue() -> None:
    jobs, may_end = DatasetJobs(), threading.Event()
    for _ in range(DatasetJobs.AT_ONCE):
        jobs.start(lambda _tell: {"waited": may_end.wait(30)})
    assert ended(jobs.start(lambda _tell: {"done": True}, at_once=True)).result == {"done": True}
    may_end.set()


def test_a_canceled_job_ends_at_the_next_sign_of_life() -> None:
    jobs, may_report = DatasetJobs(), threading.Event()
    reached = False

    def work(tell: OnProgress) -> AddedDataset:
        nonlocal reached
        may_report.wait(10)
        tell(JobProgress(progress=(1, 2)))
        reached = True
        return AddedDataset(dataset="x")

    job = jobs.start(work)
    jobs.get(job.id).cancel()
    may_report.set()
    assert [problem.code for problem in ended(job).problems] == [Code.JOB_CANCELED]
    assert (reached, job.result) == (False, None)
