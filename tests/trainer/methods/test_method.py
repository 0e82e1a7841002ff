from pathlib import Path
from typing import get_args

import pytest

from interfaces.config import FineTuneConfig
from interfaces.method_settings import Method
from tests.conftest import ROOT
from tests.support.preferences import method_of, model_of, scorer, their_trainer, tokens_of_theirs

pytestmark = pytest.mark.tiny


@pytest.mark.parametrize("name", get_args(Method))
def test_a_method_is_found_by_its_name(name: str) -> None:
    from trainer.methods.method import create_method
    from trainer.tokens.batches import flat_batch

    method = create_method(FineTuneConfig(method=name), chunked=True, collate=flat_batch)  # type: ignore[arg-type]
    assert type(method).__name__.lower() == name


@pytest.mark.parametrize("kind", ["dpo", "orpo", "kto", "reward"])
def test_thirty_steps_learn_what_trl_learns(tiny_model: Path, tmp_path: Path, kind: str) -> None:
    """From the same adapter, on the same tokens in the same order."""
    import torch
    from transformers import AutoTokenizer, TrainingArguments

    from trainer.training.loop import TrainingLoop

    torch.set_num_threads(1)
    steps = {"max_steps": 30, "learning_rate": 1e-3, "logging_steps": 1, "save_strategy": "no", "seed": 7}
    trainer = their_trainer(
        kind,
        scorer(tiny_model, ours=False) if kind == "reward" else model_of(tiny_model, chunked=False),
        tmp_path / "trl",
        AutoTokenizer.from_pretrained(tiny_model),
        rows=8,
        **steps,
    )
    for name, parameter in trainer.model.named_parameters():
        if ".ref." in name and "lora_B" in name:  # TRL copies a ready adapter as its reference, ours is the base model
            with torch.no_grad():
                parameter.zero_()
    rows = [tokens_of_theirs(kind, row) for row in trainer.train_dataset]
    trainer.train()
    theirs = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    model = scorer(tiny_model) if kind == "reward" else model_of(tiny_model)
    method = method_of(FineTuneConfig(method=kind, max_length=512))  # type: ignore[arg-type]
    # TRL doesn't shuffle for KTO, whose other answers are those of batches in the order of the file.
    args = TrainingArguments(
        output_dir=str(tmp_path / "ours"), use_cpu=True, per_device_train_batch_size=4, report_to="none",
        disable_tqdm=True, remove_unused_columns=False, optim=trainer.args.optim,
        train_sampling_strategy="sequential" if kind == "kto" else "random", **steps,
    )  # fmt: skip
    loop = TrainingLoop(model=model, args=args, train_dataset=rows, method=method)
    loop.train()
    ours = [entry["loss"] for entry in loop.state.log_history if "loss" in entry]
    assert len(ours) == 30
    assert ours[-1] < ours[0]
    assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-5)


def test_no_method_knows_another() -> None:
    names = get_args(Method)
    for name in names:
        text = (ROOT / f"trainer/methods/{name}.py").read_text(encoding="utf-8")
        assert not [other for other in names if f"trainer.methods.{other}" in text], name
