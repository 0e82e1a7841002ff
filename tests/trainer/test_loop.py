from typing import Any

import pytest

from interfaces.folders import Home

pytestmark = pytest.mark.tiny


def test_the_names_that_are_overridden_still_exist_in_the_library() -> None:
    from transformers import Trainer

    from trainer.loop import TrainingLoop

    own = {name for name in vars(TrainingLoop) if not name.startswith("__")} - {"tokens_seen", "trained_tokens_seen"}
    assert own == {"training_step", "evaluate"}
    assert own <= set(dir(Trainer))


def test_padding_is_neither_read_nor_learned() -> None:
    from trainer.loop import collate

    batch = collate(
        [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"input_ids": [8], "labels": [8]}], pad_token_id=0
    )
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [8, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_measuring_changes_nothing_in_training_and_batches_weigh_by_their_tokens(
    home: Home, tiny_config: dict[str, Any]
) -> None:
    from interfaces.events import Evaluated, Step, read_events
    from trainer.lora_trainer import LoRATrainer

    config = {**tiny_config, "validation_split": 0.4, "lora": {"lora_dropout": 0.2}}
    told = {}
    for name, more in {
        "often": {"eval_steps": 1},
        "never": {},
        "one by one": {"eval_steps": 1, "per_device_train_batch_size": 1},
    }.items():
        folder = home.create_run()
        LoRATrainer(folder).train({**config, **more})
        told[name] = read_events(folder.events)
    steps = {name: [event.loss for event in events if isinstance(event, Step)] for name, events in told.items()}
    assert steps["often"] == steps["never"]
    # At step 1 the learning rate of the warm-up is 0: the same model is measured, in batches of 2 and of 1.
    first = {name: next((e.loss for e in events if isinstance(e, Evaluated)), None) for name, events in told.items()}
    assert first["often"] == pytest.approx(first["one by one"], rel=1e-5)
