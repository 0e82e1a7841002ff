import shutil
from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.problems import Code
from tests.conftest import make_tiny_model

pytestmark = pytest.mark.tiny


def template_of(path: Path):
    from trainer.models.model_files import ModelFiles
    from trainer.tokens.tokenizer import load_template

    return load_template(ModelFiles(path, path.name, None), "m")


def refused(path: Path) -> Code:
    with pytest.raises(FineTuneError) as raised:
        template_of(path)
    return raised.value.problems[0].code


def test_without_a_chat_template_nothing_is_guessed(tmp_path: Path) -> None:
    assert refused(make_tiny_model(tmp_path, template=None)) == Code.NO_CHAT_TEMPLATE


def test_damaged_files_are_a_problem_not_a_crash(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "tokenizer.json").write_text('{"model": 5')
    assert refused(folder) == Code.TOKENIZER_UNUSABLE


def test_the_weights_are_not_needed_and_the_model_s_own_ends_are_known(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    (folder / "generation_config.json").write_text('{"eos_token_id": [0, 2]}')
    assert {"<|im_end|>", "<|endoftext|>"} <= set(template_of(folder).ends)
