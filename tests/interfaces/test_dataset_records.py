"""What the trainer's child says of datasets: a whole record or none."""

import pytest
from pydantic import ValidationError

from interfaces.dataset_records import HubSplits

WHOLE = {"name": "me/rows", "configs": ["default"], "config": "default", "splits": [{"name": "train", "files": 2, "bytes": 9}]}  # fmt: skip


def test_what_a_child_says_is_read_whole() -> None:
    assert HubSplits.model_validate(WHOLE).splits[0].files == 2


@pytest.mark.parametrize("change", [{"more": 1}, {"splits": [{"name": "train"}]}, {"configs": None}])
def test_half_a_record_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HubSplits.model_validate({**WHOLE, **change})
