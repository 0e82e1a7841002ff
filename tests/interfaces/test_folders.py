import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from interfaces.folders import Home, RunFolder, unfinished, unfinished_name


def test_home_is_chosen_then_environment_then_default() -> None:
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


def test_unfinished_folder_names_its_process(home: Home) -> None:
    mine, others = home.datasets / unfinished_name(), home.tokens / ".adding-1-abcdef01"
    for path in (mine, others, home.datasets / "0123456789abcdef"):
        path.mkdir(parents=True)
    assert unfinished(home.path, os.getpid()) == [mine]
    assert set(unfinished(home.path)) == {mine, others}
