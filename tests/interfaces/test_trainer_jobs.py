import json

import pytest
from pydantic import TypeAdapter, ValidationError

from interfaces.example import Example, Message
from interfaces.trainer_jobs import (
    FindRequest,
    FormatPreview,
    JobLine,
    JobProgress,
    PreviewRequest,
    RowRequest,
    SplitRequest,
    StatsRequest,
)


def parsed(request: dict[str, object]) -> object:
    return TypeAdapter(PreviewRequest).validate_python(request)


def test_each_operation_has_its_own_request() -> None:
    assert isinstance(parsed({"op": "row", "dataset": "x", "position": 3, "max_length": 64}), RowRequest)
    assert isinstance(parsed({"op": "find", "kind": "longest"}), FindRequest)
    assert isinstance(parsed({"op": "split"}), SplitRequest)
    stats = parsed({"op": "stats"})
    assert isinstance(stats, StatsRequest)
    assert (stats.batch, stats.whole, stats.long_rows) == (4, False, "truncate")


@pytest.mark.parametrize(
    "request_body", [{"op": "delete"}, {}, {"op": "row"}, {"op": "stats", "batch": 0}, {"op": "find", "kind": "nicest"}]
)
def test_a_request_that_makes_no_sense_is_refused(request_body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        parsed(request_body)


def test_progress_is_a_short_line_and_an_example_in_it_holds_no_defaults() -> None:
    assert JobProgress(progress=(1, 2)).model_dump(mode="json", exclude_defaults=True) == {"progress": [1, 2]}
    example = Example(row=1, line=1, messages=(Message(role="user", content="q"),))
    preview = FormatPreview(name="a", format="messages", columns={}, known_columns=["messages"], examples=[example])
    line = json.loads(json.dumps(JobProgress(preview=preview).model_dump(mode="json", exclude_defaults=True)))
    assert line["preview"]["examples"] == [
        {"schema_version": 3, "row": 1, "line": 1, "messages": [{"role": "user", "content": "q"}]}
    ]
    assert JobLine.model_validate(line).preview == preview


def test_a_line_ends_a_job_with_a_result_or_with_problems() -> None:
    assert JobLine.model_validate_json('{"result": {"dataset": "x"}}').result == {"dataset": "x"}
    with pytest.raises(ValidationError):
        JobLine.model_validate_json("Downloading model.safetensors: 3%")
