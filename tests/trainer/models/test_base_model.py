import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.problems import Code

pytestmark = pytest.mark.tiny


def loaded(path: Path, **settings: Any):
    import torch

    from trainer.models.base_model import load_model
    from trainer.models.device import Compute
    from trainer.models.model_files import ModelFiles

    config = FineTuneConfig(model_name=str(path), **settings)
    return load_model(ModelFiles(path, path.name, None), config, Compute(torch.device("cpu"), torch.bfloat16, 1))


def test_the_base_is_loaded_in_its_number_format(tiny_model: Path) -> None:
    import torch

    from trainer.models.base_model import parameter_count

    model = loaded(tiny_model)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    quantized = loaded(tiny_model, load_in_4bit=True)
    # Only the linear layers are quantized; embedding and norms are not cast to fp32 on the way.
    assert torch.float32 not in {parameter.dtype for parameter in quantized.parameters()}
    assert parameter_count(quantized)[1] == parameter_count(model)[1]
    assert quantized.get_memory_footprint() < model.get_memory_footprint()


@pytest.mark.parametrize("damage", ["truncated", "unknown architecture"])
def test_unloadable_model_reports_reason(tiny_model: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    if damage == "truncated":
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    else:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "of_the_future"}))
    with pytest.raises(FineTuneError) as raised:
        loaded(folder)
    expected = Code.FOLDER_DAMAGED if damage == "truncated" else Code.MODEL_UNSUPPORTED
    assert raised.value.problems[0].code == expected


@pytest.mark.parametrize("settings", [{}, {"load_in_8bit": True}, {"load_in_4bit": True}], ids=str)
def test_answering_in_between_leaves_the_gradients_as_they_were(tiny_model: Path, settings: dict[str, Any]) -> None:
    """bitsandbytes packs 4-bit layers for inference on some processors, after which they pass no gradient on."""
    import torch

    model = loaded(tiny_model, **settings)
    ids = torch.arange(1, 20)[None]

    def gradient() -> torch.Tensor:
        model.train()
        embedded = model.get_input_embeddings()(ids).detach().requires_grad_()
        model(inputs_embeds=embedded, labels=ids).loss.backward()
        return embedded.grad

    before = gradient()
    with torch.no_grad():
        model.eval()(ids)
    assert float(before.float().norm()) > 0
    assert torch.allclose(gradient(), before, rtol=2e-2, atol=1e-4)


def test_a_model_with_weights_missing_is_refused_by_name(tiny_model: Path, tmp_path: Path) -> None:
    """transformers fills what is missing with random numbers, and only says so in its log."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    weights = load_file(folder / "model.safetensors")
    gone = "model.layers.1.mlp.down_proj.weight"
    del weights[gone]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(FineTuneError, match=gone) as raised:
        loaded(folder)
    assert raised.value.problems[0].code == Code.MODEL_INCOMPLETE


def test_disk_errors_are_not_blamed_on_the_model(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a library writes meanwhile, its log too, may meet it."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from trainer.models.model_files import ModelFiles
    from trainer.tokens.tokenizer import load_template

    for number in (errno.ENOSPC, errno.EIO):

        def fails(*_: Any, number: int = number, **__: Any) -> None:
            raise OSError(number, os.strerror(number))

        for library, load in (
            (AutoModelForCausalLM, lambda: loaded(tiny_model)),
            (AutoTokenizer, lambda: load_template(ModelFiles(tiny_model, "tiny", None), "tiny")),
        ):
            monkeypatch.setattr(library, "from_pretrained", fails)
            with pytest.raises(OSError, match=os.strerror(number)) as raised:
                load()
            assert raised.value.errno == number


def test_weights_that_do_not_match_config_are_reported(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": config["vocab_size"] + 8}))
    with pytest.raises(FineTuneError, match=r"don't match the shapes in config\.json") as raised:
        loaded(folder)
    assert raised.value.problems[0].code == Code.MODEL_UNSUPPORTED
