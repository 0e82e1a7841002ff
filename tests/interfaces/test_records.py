import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.problems import Code
from interfaces.records import merge_record, read_record


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


def test_fields_that_are_changed_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "home" / "settings.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: merge_record(path, **{f"field_{number}": number}), range(40)))
    record = read_record(path) or {}
    assert {name: value for name, value in record.items() if name.startswith("field_")} == {
        f"field_{number}": number for number in range(40)
    }


def test_a_private_record_stays_private(tmp_path: Path) -> None:
    merge_record(tmp_path / "secrets.json", private=True, webhook="x")
    merge_record(tmp_path / "secrets.json", private=True, token="y")
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0
    assert {"webhook": "x", "token": "y"}.items() <= (read_record(tmp_path / "secrets.json") or {}).items()
