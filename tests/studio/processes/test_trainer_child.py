from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from studio.processes.trainer_child import add_dataset, run_trainer

pytestmark = pytest.mark.process


def test_a_child_that_knows_no_such_job_is_told_not_shown(home: Home) -> None:
    with pytest.raises(FineTuneError) as raised:
        run_trainer(["no-such-job"])
    assert raised.value.problems[0].code == Code.START_FAILED


def test_a_foreign_trainer_in_the_working_directory_is_not_run(
    home: Home, rows_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "__main__.py").write_text("raise SystemExit('sprung')")
    (tmp_path / "json.py").write_text("raise SystemExit('sprung')")
    monkeypatch.chdir(tmp_path)
    assert len(add_dataset(home.path, rows_file)) == 16
