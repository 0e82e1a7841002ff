import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from studio.processes.launcher import LocalLauncher, launcher_of, trainer_command
from tests.conftest import until
from tests.support.fakes import FakeCluster, fake_trainer, on_a_cluster

pytestmark = pytest.mark.process


def test_concurrent_starts_of_one_run_have_one_winner(home: Home) -> None:
    folder = home.create_run()

    def attempt_start(_: int) -> Code | None:
        try:
            LocalLauncher(fake_trainer("waits")).start(folder)
        except FineTuneError as error:
            return error.problems[0].code
        return None

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(attempt_start, range(6)))
    assert sorted(outcomes, key=str) == [None, *[Code.RUN_ACTIVE] * 5]
    assert len(folder.attempts()) == 1


def test_stale_pid_is_no_process(home: Home) -> None:
    folder = home.create_run()
    attempt = folder.create_attempt()
    write_json(attempt.pid, {"supervisor": {"pid": 1, "start_time": "never", "boot_id": "another"}, "trainer": None})
    assert LocalLauncher().state(attempt) == "gone"
    assert LocalLauncher().find(folder) is None


def test_failed_supervisor_start_reports_reason(home: Home) -> None:
    folder = home.create_run()
    with pytest.raises(FineTuneError) as raised:
        LocalLauncher(lambda _folder, _attempt: ["/no/such/program"]).start(folder)
    assert raised.value.problems[0].code == Code.START_FAILED


@pytest.mark.parametrize("name", ["torch.py", "trainer/__main__.py", "studio/processes/supervisor.py", "yaml.py"])
def test_modules_in_working_directory_are_not_imported(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The modules of the caller's folder write their name when they are imported; ours must be taken."""
    trap = tmp_path / "somebody"
    (trap / name).parent.mkdir(parents=True)
    (trap / name).write_text(f"open({str(tmp_path / 'sprung')!r}, 'w').close()")
    monkeypatch.chdir(trap)
    probe = "import json, importlib.util as u; print(json.dumps([u.find_spec(n).origin for n in ('studio.processes.supervisor', 'trainer', 'yaml')]))"
    folder = RunFolder(home.create_run().path)
    command = trainer_command(folder, folder.attempt(1))
    assert command[:4] == [sys.executable, "-P", "-m", "trainer"]
    LocalLauncher(lambda _folder, _attempt: [*command[:2], "-c", probe]).start(folder)
    until(lambda: folder.attempt(1).exit.exists())
    origins = json.loads(folder.log.read_text())
    assert not any(str(trap) in origin for origin in origins)
    assert not (tmp_path / "sprung").exists()


def test_the_settings_of_a_home_name_its_launcher(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(launcher_of(home), LocalLauncher)
    on_a_cluster(home, monkeypatch)
    assert isinstance(launcher_of(home), FakeCluster)
    write_json(home.settings, {"launcher": "nowhere"})
    with pytest.raises(FineTuneError, match="should be one of fake, local"):
        launcher_of(home)
