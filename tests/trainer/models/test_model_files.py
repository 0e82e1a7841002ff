import json
import shutil
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code
from interfaces.texts import sentence
from trainer.models.model_files import find_model


def refused(name: str, home: Home) -> FineTuneError:
    with pytest.raises(FineTuneError) as raised:
        find_model(name, "main", home, lambda _done, _total: None)
    return raised.value


def model_folder(path: Path, *files: str, config: dict[str, object] | None = None) -> str:
    path.mkdir()
    for name in (*files, "tokenizer.json"):
        (path / name).write_bytes(b"x")
    if config is not None:
        (path / "config.json").write_text(json.dumps(config))
    return str(path)


def test_a_folder_is_found_and_called_by_its_name_alone(home: Home, tmp_path: Path) -> None:
    found = find_model(
        model_folder(tmp_path / "mine", "model.safetensors", config={}), "main", home, lambda _d, _t: None
    )
    assert (found.portable_name, found.revision) == ("mine", None)


def test_a_folder_that_is_not_there(home: Home, tmp_path: Path) -> None:
    assert refused(str(tmp_path / "none"), home).problems[0].code == Code.FILE_MISSING
    assert refused("./none", home).problems[0].code == Code.FILE_MISSING


def test_what_is_missing_is_named_beside_what_is_there(home: Home, tmp_path: Path) -> None:
    no_config = refused(model_folder(tmp_path / "a", "model.safetensors"), home).problems[0]
    assert (no_config.code, no_config.params["missing"]) == (Code.MODEL_INCOMPLETE, "config.json")
    assert no_config.params["found"] == ["model.safetensors", "tokenizer.json"]
    no_weights = refused(model_folder(tmp_path / "b", config={}), home).problems[0]
    assert no_weights.params["missing"] == "missing_safetensors"
    folder = Path(model_folder(tmp_path / "c", "model.safetensors", config={}))
    (folder / "tokenizer.json").unlink()
    assert refused(str(folder), home).problems[0].params["missing"] == "tokenizer.json"


@pytest.mark.parametrize("key", ["_attn_implementation_internal", "trust_remote_code"])
def test_a_config_that_asks_for_trust_is_refused(home: Home, tmp_path: Path, key: str) -> None:
    folder = model_folder(tmp_path / "a", "model.safetensors", config={key: True})
    assert refused(folder, home).problems[0].code == Code.MODEL_UNSAFE


def test_pickled_weights_are_refused(home: Home, tmp_path: Path) -> None:
    problem = refused(model_folder(tmp_path / "a", "pytorch_model.bin", config={}), home).problems[0]
    assert problem.code == Code.MODEL_UNSAFE
    assert "pickled (pytorch_model.bin)" in sentence(problem)


@pytest.mark.parametrize("named", ["pytorch_model.bin", "../other/model.safetensors", "sub/model.safetensors"])
def test_index_with_other_files_is_rejected(tiny_model: Path, home: Home, tmp_path: Path, named: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": named}}))
    with pytest.raises(FineTuneError) as raised:
        find_model(str(folder), "main", home, lambda _done, _total: None)
    assert raised.value.problems[0].code == Code.MODEL_UNSAFE
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "gone.safetensors"}}))
    with pytest.raises(FineTuneError, match="gone"):
        find_model(str(folder), "main", home, lambda _done, _total: None)


def test_cached_snapshot_has_the_model_name(home: Home, tmp_path: Path) -> None:
    commit = "0123456789" * 4
    place = tmp_path / "models--Qwen--Qwen2.5-0.5B" / "snapshots"
    place.mkdir(parents=True)
    folder = model_folder(place / commit, "model.safetensors", config={})
    found = find_model(folder, "main", home, lambda _done, _total: None)
    assert (found.portable_name, found.revision) == ("Qwen/Qwen2.5-0.5B", commit)


def test_a_file_is_named_as_what_it_is(home: Home, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    problem = refused(str(tmp_path / "model.gguf"), home).problems[0]
    assert (problem.code, "GGUF" in sentence(problem)) == (Code.MODEL_UNSUPPORTED, True)
    (tmp_path / "weights.txt").write_bytes(b"x")
    assert "it is a file" in sentence(refused(str(tmp_path / "weights.txt"), home).problems[0])


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_lfs_pointer_error_has_instructions(home: Home, tmp_path: Path, name: str) -> None:
    folder = model_folder(tmp_path / "a", "model.safetensors", config={})
    (tmp_path / "a" / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    problem = refused(folder, home).problems[0]
    assert problem.code == Code.MODEL_INCOMPLETE
    assert "git lfs pull" in sentence(problem)


def test_inference_only_weights_are_rejected_with_advice(home: Home, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "a", "model.safetensors", config={"quantization_config": {"quant_method": "awq"}})
    assert "load_in_4bit" in sentence(refused(folder, home).problems[0])
