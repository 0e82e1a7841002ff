import zipfile
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from trainer.artifacts.export import export_adapter


@pytest.fixture
def run(home: Home) -> RunFolder:
    folder = home.create_run()
    folder.adapter.mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json", "README.md"):
        (folder.adapter / name).write_text(name)
    return folder


def test_as_a_folder_and_as_a_zip(run: RunFolder, tmp_path: Path) -> None:
    folder = export_adapter(run, tmp_path / "new" / "out")
    archive = export_adapter(run, tmp_path / "out.zip")
    names = sorted(path.name for path in run.adapter.iterdir())
    assert sorted(path.name for path in folder.iterdir()) == names
    with zipfile.ZipFile(archive) as packed:
        assert sorted(packed.namelist()) == names
        assert packed.testzip() is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "new", "out.zip"]  # nothing half-written


def test_export_overwrites_nothing_and_requires_an_adapter(run: RunFolder, home: Home, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(FineTuneError) as raised:
        export_adapter(run, tmp_path / "out")
    assert raised.value.problems[0].code == Code.OUTPUT_EXISTS
    with pytest.raises(FineTuneError) as raised:
        export_adapter(home.create_run(), tmp_path / "other")
    assert raised.value.problems[0].code == Code.NO_ADAPTER
