"""One undisturbed run to compare with, and the process that makes attempts of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interfaces.folders import Home
from tests.faults.rig import Nursery, Result, job, make_rows, new_run, run_to_the_end


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture(scope="session")
def fault_job(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return job(tiny_model, make_rows(tmp_path_factory.mktemp("rows")))


@pytest.fixture(scope="session")
def undisturbed(nursery: Nursery, fault_job: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Result:
    result = run_to_the_end(nursery, new_run(Home(tmp_path_factory.mktemp("undisturbed")), fault_job))
    assert len(result.losses) > 100
    return result
