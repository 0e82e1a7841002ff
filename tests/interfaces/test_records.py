import json
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.problems import Code
from interfaces.records import read_record


def test_record_is_read_and_missing_record_is_none(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    assert read_record(tmp_path / "a.json") == {"schema_version": 1, "x": 1}
    assert read_record(tmp_path / "b.json") is None


@pytest.mark.parametrize("version", [2, 0, "1"])
def test_record_of_another_version_is_rejected(tmp_path: Path, version: object) -> None:
    path = tmp_path / "lineage.json"
    path.write_text(json.dumps({"schema_version": version}))
    with pytest.raises(FineTuneError) as raised:
        read_record(path)
    (problem,) = raised.value.problems
    assert (problem.code, problem.params["value"]) == (Code.SCHEMA_UNKNOWN, version)
    assert str(path) in str(raised.value)
