import json
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.files import write_json
from interfaces.folders import Home
from studio.models.catalog import BY_ID
from studio.models.facts import model_facts
from tests.support.shapes import QWEN2


def test_a_folder_with_nothing_but_a_config_is_enough(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(QWEN2))
    facts = model_facts(home, str(folder))
    assert (facts.shape.parameters, facts.path, facts.download_bytes) == (494_032_768, folder, 0)


def test_a_model_of_the_list_is_known_before_it_is_here(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    facts = model_facts(home, "Qwen/Qwen2.5-0.5B-Instruct")
    assert facts.path is None
    assert facts.download_bytes == 2 * 494_032_768


def test_the_starter_is_here_once_it_is_whole(home: Home) -> None:
    assert model_facts(home, "starter").download_bytes > 0
    home.starter.mkdir(parents=True)
    write_json(home.starter / "starter.json", {})
    facts = model_facts(home, "starter")
    assert (facts.path, facts.download_bytes, facts.shape) == (home.starter, 0, BY_ID["starter"].shape)


def test_unknown_model_is_error_without_network(home: Home, tmp_path: Path) -> None:
    with pytest.raises(FineTuneError, match="Unknown model 'some/unknown-model'"):
        model_facts(home, "some/unknown-model")
    with pytest.raises(FineTuneError, match="no-such-folder"):
        model_facts(home, str(tmp_path / "no-such-folder"))
    (tmp_path / "config.json").write_text("not JSON")
    with pytest.raises(FineTuneError, match=r"config\.json"):
        model_facts(home, str(tmp_path))
    with pytest.raises(FineTuneError, match="Unknown model"):
        model_facts(home, "a name with spaces")
    with pytest.raises(FineTuneError):
        model_facts(home, "a" * 300)


GPTQ = {"quantization_config": {"quant_method": "gptq", "bits": 4}}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**QWEN2, **GPTQ}, "stored as GPTQ"),
        ({**QWEN2, "quantization_config": {"quant_method": "awq"}}, "stored as AWQ"),
        ({**QWEN2, "quantization_config": 4}, "unknown format"),
        ({**QWEN2, "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "encoder"),
        ({**QWEN2, "model_type": "chatglm"}, "architecture 'chatglm'"),
        ({**QWEN2, "model_type": "nobody-knows"}, "architecture 'nobody-knows'"),
        ({**QWEN2, "trust_remote_code": True}, "trust_remote_code"),
    ],
)  # fmt: skip
def test_untrainable_model_is_rejected(home: Home, tmp_path: Path, config: dict[str, object], words: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(FineTuneError, match=words):
        model_facts(home, str(tmp_path))


def test_bitsandbytes_weights_are_trainable(home: Home, tmp_path: Path) -> None:
    for stored in ({"quant_method": "bitsandbytes", "load_in_4bit": True}, {"load_in_8bit": True}):
        (tmp_path / "config.json").write_text(json.dumps({**QWEN2, "quantization_config": stored}))
        assert model_facts(home, str(tmp_path)).shape.layers == 24


def test_pickles_and_lfs_pointers_are_rejected_before_estimating(home: Home, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(QWEN2))
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(FineTuneError, match="pickled"):
        model_facts(home, str(tmp_path))
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(FineTuneError, match="git lfs pull"):
        model_facts(home, str(tmp_path))


def test_gguf_file_is_not_reported_as_missing(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    for name in (str(tmp_path / "model.gguf"), "model.gguf"):
        with pytest.raises(FineTuneError, match="it is a GGUF file"):
            model_facts(home, name)
