"""Continued pre-training: every token of a text counts once, and texts of a pack don't see each other."""

from pathlib import Path
from typing import Any

import pytest

from interfaces.config import FineTuneConfig
from interfaces.events import Step
from interfaces.folders import Home
from tests.conftest import write_rows
from tests.support.preferences import assert_same, loss_and_gradients, method_of, model_of
from tests.support.tiny_runs import events, train

pytestmark = pytest.mark.tiny


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
def test_a_pack_of_texts_learns_what_they_teach_alone(tiny_model: Path, flat: bool) -> None:
    rows = [{"input_ids": ids, "labels": ids} for ids in ([5, 9, 200, 3], [7, 7, 8], [1, 2, 3, 4, 5, 6])]
    method, model = method_of(FineTuneConfig(method="pretrain"), flat), model_of(tiny_model, chunked=flat)
    batch = method.collate([rows])
    assert method.items(batch) == 3 + 2 + 5
    together = loss_and_gradients(model, method.loss(model, batch, 10).loss)
    alone = sum(method.loss(model, method.collate([row]), 10).loss for row in rows)
    assert_same(together, loss_and_gradients(model, alone))


def test_texts_are_packed_and_windows_continue(home: Home, tiny_config: dict[str, Any], tmp_path: Path) -> None:
    texts = [{"text": "One line of a long story. " * (1 + 5 * (number % 4))} for number in range(24)]
    config = {
        **tiny_config,
        "dataset": str(write_rows(tmp_path / "texts.jsonl", texts)),
        "method": "pretrain",
        "num_train_epochs": 1,
    }
    folder, result = train(home, config)
    assert result["state"] == "finished"
    steps = events(folder, Step)
    assert steps[-1].loss < steps[0].loss
    assert all(step.tokens <= 2 * 128 for step in steps)
    assert sum(step.tokens for step in steps) / len(steps) > 0.8 * 2 * 128  # nearly full packs
