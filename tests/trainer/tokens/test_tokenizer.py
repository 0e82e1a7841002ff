import json
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


def test_tokenizer_loads_without_weights_and_knows_end_tokens(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    (folder / "generation_config.json").write_text('{"eos_token_id": [0, 2]}')
    assert {"<|im_end|>", "<|endoftext|>"} <= set(template_of(folder).ends)


def test_pre_tokenizer_comes_from_tokenizer_json(tiny_model: Path, tmp_path: Path) -> None:
    """transformers 5 puts Qwen's own splitting in its place for every model of that type."""
    from tokenizers import Regex, Tokenizer, pre_tokenizers

    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    own.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\\p{N}{1,3}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    own.save(str(folder / "tokenizer.json"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "tokenizer_class": "Qwen2Tokenizer"}))
    made = template_of(folder).tokenizer.backend_tokenizer
    assert made.pre_tokenizer.__getstate__() == own.pre_tokenizer.__getstate__()
    assert made.normalizer is None
    decomposed = "e\u0301 123"
    assert made.encode(decomposed).ids == own.encode(decomposed).ids


def test_named_templates_without_a_default_are_none(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    (folder / "additional_chat_templates").mkdir()
    for name in ("tool_use", "rag"):
        (folder / "additional_chat_templates" / f"{name}.jinja").write_text("{{ messages }}")
    with pytest.raises(FineTuneError) as raised:
        template_of(folder)
    assert raised.value.problems[0].code == Code.NO_CHAT_TEMPLATE
