"""One attempt of a job: its last event, whether it worked or not."""

from __future__ import annotations

import pytest

from interfaces.errors import FineTuneError
from interfaces.events import Failed, Finished, read_events
from interfaces.folders import Home
from interfaces.job_folders import ExportFolder
from interfaces.problems import Code
from tests.support.records import recorded_run
from trainer.training.job import execute

pytestmark = pytest.mark.tiny


def test_a_job_ends_with_its_peak_memory_or_its_problem(home: Home) -> None:
    folder = ExportFolder.create(recorded_run(home))
    assert execute(folder, 1, lambda _config, _events: 7, listens=False) is None
    *_, last = read_events(folder.events)
    assert isinstance(last, Finished)
    assert last.peak_memory_bytes == 7

    def refused(*_: object) -> int:
        raise FineTuneError.of(Code.NO_ADAPTER, run="r")

    problem = execute(folder, 2, refused, listens=False)
    *_, last = read_events(folder.events)
    assert isinstance(last, Failed)
    assert last.problem == problem
    assert last.problem.code is Code.NO_ADAPTER
    folder.run.config.unlink()
    problem = execute(folder, 3, refused, listens=False)
    assert problem is not None
    assert problem.code is not Code.NO_ADAPTER, "without the run's settings nothing is begun"
