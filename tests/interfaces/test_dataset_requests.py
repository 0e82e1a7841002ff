"""What is asked of datasets, as it is written for the child."""

import pytest
from pydantic import TypeAdapter, ValidationError

from interfaces.dataset_requests import ChangeRequest, DatasetRequest, Duplicates
from interfaces.example import Example

ASKED: TypeAdapter[DatasetRequest] = TypeAdapter(DatasetRequest)


def test_a_request_survives_the_way_to_the_child() -> None:
    asked = ChangeRequest(dataset="d", changes={3: Example(text="x", row=4), 5: None}, added=[Example(text="y", row=1)])
    assert ASKED.validate_json(asked.model_dump_json()) == asked


@pytest.mark.parametrize(
    "record",
    [{"op": "divide", "dataset": "d", "share": 1}, {"op": "none"}, {"op": "mask", "dataset": "d", "kinds": ["all"]}],
)
def test_what_makes_no_sense_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ASKED.validate_python(record)


def test_all_but_the_first_of_a_group_are_repeated() -> None:
    assert Duplicates(groups=[[0, 4], [2, 3, 9]], rows=10, seconds=1).repeated == [4, 3, 9]
