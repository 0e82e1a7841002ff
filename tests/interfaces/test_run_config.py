"""A run's settings come back as they were written, and a damaged file is a sentence."""

from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import RunFolder
from interfaces.problems import Code
from interfaces.run_config import read_run_config, write_run_config


def test_settings_survive_a_round_trip(tmp_path: Path) -> None:
    settings = {"name": "你好", "lora": {"r": 8}, "learning_rate": 2e-4, "sample_prompts": ["a: b", "- c"]}
    write_run_config(RunFolder(tmp_path), settings)
    assert read_run_config(RunFolder(tmp_path)) == settings
    assert "你好" in RunFolder(tmp_path).config.read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [None, b"", b"- a\n- b\n", b"a: [", b"\xff\xfe", b"just words"])
def test_damaged_file_error_names_its_path(tmp_path: Path, content: bytes | None) -> None:
    folder = RunFolder(tmp_path)
    if content is not None:
        folder.config.write_bytes(content)
    with pytest.raises(FineTuneError) as raised:
        read_run_config(folder)
    problem = raised.value.problems[0]
    assert (problem.code, problem.params["path"]) == (Code.CONFIG_UNREADABLE, str(folder.config))
