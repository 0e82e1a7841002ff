from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.model_folder import check_config, check_weights, find_folder, is_path


def test_folder_takes_precedence_over_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    (tmp_path / "gpt2").touch()
    monkeypatch.chdir(tmp_path)
    assert [is_path(name) for name in ("owner/name", "./gone", "~/gone", "other/name", "gpt2", "a" * 500)] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert find_folder("owner/name") == tmp_path / "owner" / "name"
    with pytest.raises(FineTuneError, match="does not exist"):
        find_folder("./gone")


def test_plain_folder_with_weights_is_valid(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    check_weights(tmp_path, "mine")
    check_config({"model_type": "qwen2", "quantization_config": {"quant_method": "mxfp4"}}, "mine")
