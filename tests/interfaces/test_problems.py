import json

import pytest

from interfaces.problems import BROKEN_RUN, Code, Problem, blocking_rows


def test_a_problem_is_data_and_travels() -> None:
    problem = Problem(code=Code.OUT_OF_MEMORY, params={"batch": 4}, change={"per_device_train_batch_size": 2})
    record = json.loads(problem.model_dump_json())
    assert record["schema_version"] == 1
    assert record["code"] == "out_of_memory"
    assert Problem.model_validate(record) == problem


def test_a_broken_run_is_not_bad_input() -> None:
    assert Code.OUT_OF_MEMORY in BROKEN_RUN
    assert Code.UNKNOWN_KEY not in BROKEN_RUN


@pytest.mark.parametrize(
    ("good", "usable", "at_fault", "stop", "skip"),
    [(5, 5, 0, None, None), (3, 4, 1, 1, None), (0, 4, 1, 1, 1), (0, 4, 0, None, 4), (0, 0, 2, 2, 2)],
)
def test_rows_forbid_a_start_as_the_setting_says(
    good: int, usable: int, at_fault: int, stop: int | None, skip: int | None
) -> None:
    report = {
        "name": "a", "rows": usable + at_fault, "good": good, "usable": usable, "at_fault": at_fault, "doubtful": usable - good,
        "first": [],
    }  # fmt: skip
    for setting, count in (("stop", stop), ("skip", skip)):
        refused = blocking_rows(report, setting)
        assert (refused.params["count"] if refused else None) == count
