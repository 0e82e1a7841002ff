import inspect
from pathlib import Path
from typing import Any

import pytest

from interfaces import IFineTuneService
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from trainer.lora_trainer import LoRATrainer

pytestmark = pytest.mark.tiny


def test_implements_the_interface(home: Home, tiny_config: dict[str, Any], tmp_path: Path) -> None:
    trainer = LoRATrainer(home.create_run().path)
    assert isinstance(trainer, IFineTuneService)
    assert trainer.validate_config(tiny_config) is True
    assert trainer.validate_config({**tiny_config, "max_length": 0}) is False
    result = trainer.train(tiny_config)
    assert result["state"] == "finished"
    assert trainer.export_model(tmp_path / "adapter.zip") == tmp_path / "adapter.zip"


def test_invalid_config_raises_all_errors(home: Home) -> None:
    folder = home.create_run()
    with pytest.raises(FineTuneError) as raised:
        LoRATrainer(folder).train({"max_length": 0, "nonsense": 1})
    assert len(raised.value.problems) == 2
    assert not folder.events.exists()


@pytest.mark.parametrize("method", ["train", "export_model", "validate_config"])
def test_it_adds_no_argument_to_the_contract(method: str) -> None:
    promised, kept = (inspect.signature(getattr(kind, method)) for kind in (IFineTuneService, LoRATrainer))
    assert list(promised.parameters) == list(kept.parameters)
