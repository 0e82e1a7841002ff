"""The clock's checkpoints; steps, stops and early stopping are seen in whole runs (test_run.py)."""

from typing import Any

import pytest

from interfaces.events import CheckpointCommitted, read_events
from interfaces.folders import Home

pytestmark = pytest.mark.tiny


def test_minutes_save_too(home: Home, tiny_config: dict[str, Any]) -> None:
    from trainer.lora_trainer import LoRATrainer

    folder = home.create_run()
    LoRATrainer(folder).train({**tiny_config, "save_minutes": 1e-6, "save_total_limit": 3})
    committed = [event.step for event in read_events(folder.events) if isinstance(event, CheckpointCommitted)]
    assert committed == list(range(1, 9))
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == [f"step-{step:07d}" for step in (6, 7, 8)]
