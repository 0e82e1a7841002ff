import json

from interfaces.problems import BROKEN_RUN, Code, Problem


def test_problem_survives_serialization() -> None:
    problem = Problem(code=Code.OUT_OF_MEMORY, params={"batch": 4}, change={"per_device_train_batch_size": 2})
    record = json.loads(problem.model_dump_json())
    assert record["schema_version"] == 1
    assert record["code"] == "out_of_memory"
    assert Problem.model_validate(record) == problem


def test_run_failure_is_not_invalid_input() -> None:
    assert Code.OUT_OF_MEMORY in BROKEN_RUN
    assert Code.UNKNOWN_KEY not in BROKEN_RUN
