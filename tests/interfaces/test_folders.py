import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interfaces.folders import Home, RunFolder, read_json, write_json


def test_home_is_the_chosen_one_then_the_environments_then_the_default() -> None:
    assert Home.of("/a", {"FINETUNE_HOME": "/b"}).path == Path("/a")
    assert Home.of(None, {"FINETUNE_HOME": "/b"}).path == Path("/b")
    assert Home.of(None, {}).path == Path.home() / ".finetune-studio"


def test_run_ids_are_unique_sort_by_time_and_are_safe_names(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: home.create_run().id, range(40)))
    assert len(set(ids)) == 40
    assert all(set(run_id) <= set("0123456789abcdef-") for run_id in ids)


def test_attempts_count_up_and_are_claimed_once(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert [folder.create_attempt().number for _ in range(11)] == list(range(1, 12))
    assert folder.attempts()[-1].number == 11  # by number, not by text
    folder.attempt(12).path.mkdir()
    (tmp_path / "attempt-notes").mkdir()
    assert len(folder.attempts()) == 12


def test_a_record_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    assert read_json(path) is None
    write_json(path, {"x": 1})
    assert read_json(path) == {"schema_version": 1, "x": 1}
    with pytest.raises(TypeError):
        write_json(path, {"x": object()})
    assert read_json(path) == {"schema_version": 1, "x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_a_damaged_record_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("{")
    (tmp_path / "b").write_text("[1]")
    assert read_json(tmp_path / "a") is None
    assert read_json(tmp_path / "b") is None


def test_folders_need_the_standard_library_only() -> None:
    code = (
        "import sys, json; import interfaces.folders, interfaces.process; print(json.dumps('pydantic' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False


def test_asking_for_a_place_creates_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert not home.has_starter()
    assert home.run("x").checkpoint(3).name == "step-0000003"
    assert home.run("x").home == home
    assert home.dataset("d").source(".csv").name == "source.csv"
    assert not home.path.exists()


def test_threads_that_write_the_same_record_at_once_do_not_trip_over_each_other(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: write_json(path, {"number": number}), range(200)))
    assert (read_json(path) or {})["number"] in range(200)
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
