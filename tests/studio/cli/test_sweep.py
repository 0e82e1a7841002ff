"""`finetune sweep` as processes, with a trainer that only pretends."""

import json
from pathlib import Path

import pytest

from interfaces.folders import Home
from studio.runs.state import list_runs
from tests.conftest import alpaca_rows, until, write_rows
from tests.support.fakes import fake_trainer_package
from tests.support.terminal import config_file, finetune, refused

pytestmark = pytest.mark.process


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in fake_trainer_package(tmp_path / "fake").items():
        monkeypatch.setenv(name, value)
    rows = write_rows(tmp_path / "rows.jsonl", alpaca_rows(4))
    return config_file(tmp_path, {"model_name": "fake", "dataset": str(rows), "name": "finishes"})


def test_runs_of_a_sweep_are_started_and_listed(home: Home, config: Path) -> None:
    values = ("--values", "learning_rate=1e-4,1e-3", "--values", "lora.r=4,8")
    dry = finetune("sweep", "start", config, *values, "--dry-run", home=home)
    assert dry.stdout == "4 runs.\n"
    assert list_runs(home) == []
    done = finetune("sweep", "start", config, *values, "--json", home=home)
    assert done.returncode == 0, done.stderr
    sweep = json.loads(done.stdout)["sweep"]
    until(lambda: [run.state.value for run in list_runs(home)] == ["finished"] * 4)
    shown = finetune("sweep", "show", sweep, home=home).stdout
    assert "learning_rate" in shown
    assert "0.001" in shown
    assert "No run has a validation loss" in shown
    assert finetune("sweep", "stop", sweep, home=home).stdout == "Runs that stop: 0.\n"
    assert finetune("sweep", "resume", sweep, home=home).stdout == "Runs that continue: 0.\n"


def test_what_is_no_sweep_is_refused(home: Home, config: Path) -> None:
    seeds = "seed=" + ",".join(map(str, range(65)))
    assert "65 runs" in refused(finetune("sweep", "start", config, "--values", seeds, home=home))
    assert "output_dir" in refused(finetune("sweep", "start", config, "--values", "output_dir=a,b", home=home))
    assert "not found" in refused(finetune("sweep", "show", "20200101-000000-abcd", home=home))
    assert list_runs(home) == []
