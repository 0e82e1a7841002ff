"""An adapter to continue from, and what is asked of the disk; data, tokens and records are seen in test_run.py."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import CheckpointCommitted, Started, Step, Warned, read_events
from interfaces.files import read_json
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from tests.conftest import alpaca_rows, write_rows
from tests.support.tiny_runs import adapter_bytes, losses, train

pytestmark = pytest.mark.tiny


def warned(folder: RunFolder) -> list[Code]:
    return [event.problem.code for event in read_events(folder.events) if isinstance(event, Warned)]


@pytest.fixture
def first(home: Home, tiny_config: dict[str, Any]) -> RunFolder:
    """A finished run of this home, of rank 4."""
    folder, _ = train(home, {**tiny_config, "lora": {"r": 4}})
    folder.config.write_text("dataset: x\n")
    return folder


def test_run_starts_from_adapter_and_keeps_copy(home: Home, tiny_config: dict[str, Any], first: RunFolder) -> None:
    fresh = losses(first)
    second, result = train(home, {**tiny_config, "adapter_name_or_path": first.id})
    assert losses(second)[0] < fresh[0] / 2  # it begins where the other had come to
    assert json.loads((second.adapter / "adapter_config.json").read_text())["r"] == 4
    assert warned(second) == [Code.ADAPTER_SETTINGS]  # the settings ask for another rank
    assert result["state"] == "finished"
    # The other run is deleted; this one can be begun anew all the same.
    shutil.rmtree(first.path)
    shutil.rmtree(second.checkpoints)
    again, _ = train(home, {**tiny_config, "adapter_name_or_path": first.id}, second, attempt=2)
    assert losses(again)[0] < fresh[0] / 2


def test_run_starts_from_newest_checkpoint_without_adapter(
    home: Home, tiny_config: dict[str, Any], first: RunFolder
) -> None:
    whole, _ = train(home, {**tiny_config, "adapter_name_or_path": first.id, "lora": {"r": 4}})
    shutil.rmtree(first.adapter)
    other, _ = train(home, {**tiny_config, "adapter_name_or_path": first.id, "lora": {"r": 4}})
    assert adapter_bytes(other) == adapter_bytes(whole)
    assert warned(other) == []


@pytest.mark.parametrize("damage", ["absent", "no JSON", "not LoRA", "torn", "of another model", "a name of nothing"])
def test_an_adapter_that_cannot_be_used_is_named_with_the_reason(
    home: Home, tiny_config: dict[str, Any], first: RunFolder, damage: str, tmp_path: Path
) -> None:
    config = first.adapter / "adapter_config.json"
    weights = first.adapter / "adapter_model.safetensors"
    value = first.id
    if damage == "absent":
        weights.unlink()
    elif damage == "no JSON":
        config.write_text("{")
    elif damage == "not LoRA":
        config.write_text(json.dumps({"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 4}))
    elif damage == "torn":
        weights.write_bytes(weights.read_bytes()[:100])
    elif damage == "of another model":
        config.write_text(config.read_text().replace('"r": 4', '"r": 2'))
    else:
        value = "no-such-run"
    _, result = train(home, {**tiny_config, "adapter_name_or_path": value})
    assert (result["state"], result["problem"]["code"]) == ("failed", Code.ADAPTER_UNUSABLE)
    assert result["problem"]["params"]["value"] == value
    assert result["problem"]["params"]["reason"]


def test_adapter_of_another_base_is_reported(home: Home, tiny_config: dict[str, Any], first: RunFolder) -> None:
    config = first.adapter / "adapter_config.json"
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({**settings, "base_model_name_or_path": "somebody/other-model"}))
    folder, _ = train(home, {**tiny_config, "adapter_name_or_path": first.id, "lora": {"r": 4}})
    assert warned(folder) == [Code.ADAPTER_BASE]


def test_too_little_disk_for_checkpoints_is_reported_before_step_one(
    home: Home, tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import interfaces.disk

    monkeypatch.setattr(interfaces.disk, "free_bytes", lambda path: 100_000)
    folder, result = train(home, tiny_config)
    assert result["problem"]["code"] == Code.DISK_FULL
    assert result["problem"]["params"]["free"] == 100_000
    assert result["problem"]["params"]["needed"] > 5 * 100_000
    assert losses(folder) == []


def test_each_checkpoint_records_its_conditions_and_a_change_is_reported(
    home: Home, tiny_config: dict[str, Any]
) -> None:
    from trainer.kernels.flat_attention import FLAT

    folder, _ = train(home, {**tiny_config, "save_steps": 2})
    committed = [event for event in read_events(folder.events) if isinstance(event, CheckpointCommitted)][-1]
    manifest = json.loads((folder.path / committed.path / "MANIFEST.json").read_text())
    conditions = manifest["conditions"]
    assert conditions["threads"] == 1
    assert (conditions["batches"], conditions["attention"]) == ("flat", FLAT)
    assert {"config_sha256", "dataset_sha256", "dtype", "device", "logits", "versions"} <= conditions.keys()
    shutil.rmtree(folder.checkpoints / "step-0000008")
    _, result = train(home, {**tiny_config, "save_steps": 2, "seed": 9}, folder, attempt=2)
    started = [event for event in read_events(folder.events) if isinstance(event, Started)][-1]
    assert started.resumed_from_step == 6
    assert warned(folder) == [Code.RESUME_NOT_EXACT]
    assert result["state"] == "finished"


def test_max_length_beyond_positions_warns(home: Home, tiny_config: dict[str, Any]) -> None:
    within, _ = train(home, {**tiny_config, "max_length": 1024, "max_steps": 1})
    beyond, _ = train(home, {**tiny_config, "max_length": 2048, "max_steps": 1})
    assert Code.POSITIONS_EXCEEDED not in warned(within)
    assert Code.POSITIONS_EXCEEDED in warned(beyond)


def test_tokens_without_embedding_are_counted_before_start(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    folder = tmp_path / "grown"
    shutil.copytree(tiny_config["model_name"], folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["lantern"])
    tokenizer.save_pretrained(folder)
    config = {**tiny_config, "model_name": str(folder), "max_steps": 1}
    _, result = train(home, config)
    assert result["state"] == "finished"  # no row uses it
    rows = [{"prompt": "What?", "completion": "A lantern."}, {"prompt": "Who?", "completion": "Ada."}]
    run, result = train(home, {**config, "dataset": str(write_rows(tmp_path / "lantern.jsonl", rows))})
    problem = read_events(run.events)[-1].problem
    assert (result["state"], problem.code) == ("failed", Code.TOKENS_UNKNOWN)
    assert (problem.params["count"], problem.params["rows"]) == (1, 2)


@pytest.mark.parametrize("targets", [["q_proj", "lm_head"], ["q_proj", "v_proj"]])
def test_tied_embeddings_are_reported(home: Home, tiny_config: dict[str, Any], targets: list[str]) -> None:
    """The tiny model's table is tied: an adapter on its head can't be merged without changing its embeddings."""
    folder, _ = train(home, {**tiny_config, "max_steps": 1, "lora": {"r": 4, "target_modules": targets}})
    assert (Code.TARGET_TIED in warned(folder)) is ("lm_head" in targets)


def test_run_stores_row_lengths_and_matches_estimated_steps(
    home: Home, tmp_path: Path, tiny_config: dict[str, Any]
) -> None:
    """The preview's figures, the estimate and the run count updates by one rule."""
    from interfaces.config import FineTuneConfig
    from interfaces.trainer_jobs import StatsRequest
    from studio.sizing.batch_lengths import Lengths
    from studio.sizing.work import work_of
    from trainer.data.dataset import add_dataset
    from trainer.models.model_files import find_model
    from trainer.tokens.preview import Previewer
    from trainer.tokens.tokenizer import load_template

    rows = write_rows(tmp_path / "many.jsonl", alpaca_rows(50))
    settings = {
        "validation_split": 0.1,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "max_steps": -1,
    }
    config = {**tiny_config, **settings, "dataset": str(rows), "num_train_epochs": 1, "max_length": 256}
    folder, _ = train(home, config)
    steps = [event for event in read_events(folder.events) if isinstance(event, Step)]
    files = find_model(config["model_name"], "main", home, lambda _done, _total: None)
    preview = Previewer(home, load_template(files, config["model_name"]))
    dataset = add_dataset(home, rows).id
    asked = StatsRequest(dataset=dataset, max_length=256, batch=4, accumulation=2, share=0.1)
    shown = preview.answer(asked)
    lengths = Lengths.of_figures(shown)
    assert lengths is not None
    foretold = work_of(FineTuneConfig.model_validate(config), lengths)
    assert foretold is not None
    assert (shown.steps_per_epoch, foretold.steps, steps[-1].total_steps) == (6, 6, 6)
    own = read_json(folder.lengths)
    assert own is not None
    assert (own["rows"], own["longest"]) == (45, max(own["longest"], 1))
    assert sum(step.tokens for step in steps) == own["tokens_kept"]


def test_end_token_unknown_to_base_is_reported_and_in_readme(
    home: Home, tmp_path: Path, tiny_config: dict[str, Any], tiny_model: Path
) -> None:
    """A base model with a chat template: it stops at its own end of text, and learns to end a turn."""
    folder = tmp_path / "base"
    shutil.copytree(tiny_model, folder)
    for name in ("generation_config.json", "config.json"):
        settings = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**settings, "eos_token_id": settings["eos_token_id"] + 5000}))
    run, _ = train(home, {**tiny_config, "model_name": str(folder), "max_steps": 1})
    assert Code.END_NOT_EOS in warned(run)
    assert "eos_token_id=" in (run.adapter / "README.md").read_text()
    run, _ = train(home, {**tiny_config, "max_steps": 1})
    assert Code.END_NOT_EOS not in warned(run)
    assert "eos_token_id" not in (run.adapter / "README.md").read_text()


def test_untrained_tokens_are_reported(home: Home, tmp_path: Path, tiny_config: dict[str, Any]) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "base"
    shutil.copytree(tiny_config["model_name"], folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][-1] = 0  # <|im_end|>, which comes last
    weights["model.embed_tokens.weight"][-2] = 0
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    run, _ = train(home, {**tiny_config, "model_name": str(folder), "max_steps": 1})
    assert Code.TOKENS_UNTRAINED in warned(run)


def test_warmup_as_long_as_run_is_reported(home: Home, tiny_config: dict[str, Any]) -> None:
    run, _ = train(home, {**tiny_config, "max_steps": 4, "warmup_steps": 100})
    assert Code.WARMUP_TOO_LONG in warned(run)
    run, result = train(
        home,
        {**tiny_config, "max_steps": 4, "warmup_steps": 2, "lr_scheduler_type": "polynomial", "learning_rate": 5e-8},
    )
    assert Code.WARMUP_TOO_LONG not in warned(run)
    assert result["state"] == "finished" or result["problem"]["code"] == Code.NOTHING_LEARNED


@pytest.mark.parametrize(("rate", "unusual"), [(5e-4, True), (2e-5, False)])
def test_a_rate_for_lora_is_remarked_on_if_all_weights_are_trained(
    home: Home, tiny_config: dict[str, Any], rate: float, unusual: bool
) -> None:
    run, _ = train(home, {**tiny_config, "learning_rate": rate, "tuning": "full", "max_steps": 2})
    assert (Code.RATE_UNUSUAL in warned(run)) is unusual
    run, _ = train(home, {**tiny_config, "learning_rate": rate, "max_steps": 2})
    assert Code.RATE_UNUSUAL not in warned(run)


def test_early_stopping_that_cannot_act_is_reported(home: Home, tiny_config: dict[str, Any]) -> None:
    config = {**tiny_config, "max_steps": 4, "validation_split": 0.25, "eval_steps": 1}
    run, _ = train(home, {**config, "early_stopping_patience": 3})
    assert Code.EARLY_STOPPING_UNREACHABLE in warned(run)
    run, _ = train(home, {**config, "early_stopping_patience": 2})
    assert Code.EARLY_STOPPING_UNREACHABLE not in warned(run)


def test_saved_tokenizer_is_the_base_tokenizer(home: Home, tiny_config: dict[str, Any]) -> None:
    run, _ = train(home, {**tiny_config, "max_steps": 1})
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (run.adapter / name).read_bytes() == (Path(tiny_config["model_name"]) / name).read_bytes()
