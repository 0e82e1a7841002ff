"""A whole run in this process: what a person would notice of it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from interfaces.events import (
    CheckpointCommitted,
    Evaluated,
    Failed,
    Finished,
    Sampled,
    Started,
    Step,
    Stopped,
    Warned,
    read_events,
)  # fmt: skip
from interfaces.files import read_json, write_json
from interfaces.folders import Home, RunFolder
from interfaces.problems import Code
from interfaces.texts import sentence
from tests.conftest import CHATML, alpaca_rows, make_tiny_model, write_rows
from tests.support.tiny_runs import StopAfter, adapter_bytes, events, losses, train

pytestmark = pytest.mark.tiny


def test_loss_falls_and_all_events_are_logged(home: Home, tiny_config: dict[str, Any]) -> None:
    config = {
        **tiny_config,
        "num_train_epochs": 6,
        "validation_split": 0.25,
        "eval_steps": 0.5,
        "save_steps": 0.5,
        "sample_prompts": ["Say 1."],
    }
    folder, result = train(home, config)
    assert result["state"] == "finished"
    steps = events(folder, Step)
    assert [step.step for step in steps] == list(range(1, 19))
    assert result["train_loss_last"] < 0.7 * result["train_loss_first"]
    assert (result["train_loss_first"], result["train_loss_last"]) == (steps[0].loss, steps[-1].loss)
    assert [event.step for event in events(folder, Evaluated)] == [9, 18]
    assert [event.step for event in events(folder, CheckpointCommitted)] == [9, 18]
    assert [(event.step, event.prompt) for event in events(folder, Sampled)] == [
        (step, "Say 1.") for step in (0, 9, 18)
    ]
    assert isinstance(read_events(folder.events)[-1], Finished)
    assert [event.seq for event in read_events(folder.events)] == list(range(1, len(read_events(folder.events)) + 1))
    assert result["tokens_per_second"] > 0
    assert result["peak_memory_bytes"] > 1e7


def test_tokens_are_counted_without_padding(home: Home, tiny_config: dict[str, Any], tmp_path: Path) -> None:
    rows = [{"prompt": "a", "completion": "b"}, {"prompt": "a" * 60, "completion": "b" * 9}]
    config = {**tiny_config, "dataset": str(write_rows(tmp_path / "two.jsonl", rows)), "num_train_epochs": 1}
    folder, _ = train(home, config)
    [step] = events(folder, Step)
    # <|im_start|>user\n...<|im_end|>\n<|im_start|>assistant\n...<|im_end|>\n: 21 tokens around the text, one a byte.
    assert step.tokens == (21 + 2) + (21 + 69)
    assert step.trained_tokens == (1 + 1) + (9 + 1)


def test_the_adapter_loads_in_plain_peft_and_answers_differently(
    home: Home, tiny_config: dict[str, Any], tiny_model: Path
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, _ = train(
        home, {**tiny_config, "num_train_epochs": 10, "sample_prompts": ["Say 3."], "sample_max_new_tokens": 12}
    )
    base_answer, tuned_answer = (event.answer for event in events(folder, Sampled))
    tokenizer = AutoTokenizer.from_pretrained(folder.adapter)
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Say 3."}], add_generation_prompt=True, return_tensors="pt"
    )

    def answer(model: torch.nn.Module) -> str:
        output = model.generate(**ids, max_new_tokens=12, do_sample=False)
        return tokenizer.decode(output[0, ids["input_ids"].shape[1] :], skip_special_tokens=True).strip()

    assert answer(base) == base_answer
    assert answer(PeftModel.from_pretrained(base, str(folder.adapter))) == tuned_answer != base_answer
    assert read_json(folder.adapter / "adapter_config.json")["base_model_name_or_path"] == f"./{tiny_model.name}"  # type: ignore[index]


def test_the_same_seed_gives_the_same_adapter(home: Home, tiny_config: dict[str, Any]) -> None:
    first, _ = train(home, tiny_config)
    second, _ = train(home, tiny_config)
    other, _ = train(home, {**tiny_config, "seed": 7})
    assert losses(first) == losses(second) != losses(other)
    assert adapter_bytes(first) == adapter_bytes(second) != adapter_bytes(other)


@pytest.mark.parametrize(
    ("more", "reported", "mode", "from_step"),
    [
        ({}, 2, "save", 2),  # in the midst of step 3, whose first batch has drawn its random numbers
        ({}, 3, "save", 3),  # while it is measured at step 3: that is made up for
        ({}, 3, "discard", 2),
        ({"gradient_accumulation_steps": 1}, 4, "save", 5),  # just when step 5 ends
        ({"gradient_accumulation_steps": 1, "logging_steps": 5}, 2, "save", 6),  # a point of the curve is half logged
        ({"early_stopping_patience": 1, "eval_steps": 1, "learning_rate": 0.9}, 2, "save", 2),
        ({"packing": True, "max_tokens_per_batch": 128}, 1, "save", 1),
        ({"tuning": "full"}, 2, "save", 2),
        ({"lora": {"modules_to_save": ["embed_tokens"]}, "embedding_learning_rate": 1e-4, "bf16": True}, 2, "save", 2),
        ({"tuning": "full", "bf16": True, "learning_rate": 1e-3}, 3, "discard", 2),
        ({"tuning": "full", "bf16": True, "learning_rate": 1e-2, "master_weights": False}, 2, "save", 2),
    ],
)
def test_stopped_run_resumes_to_the_same_weights(
    home: Home, tiny_config: dict[str, Any], more: dict[str, Any], reported: int, mode: str, from_step: int
) -> None:
    """In mid-epoch, with dropout and accumulation; the resumed curve has neither gap nor double."""
    from trainer.lora_trainer import LoRATrainer

    config = {
        **tiny_config, "num_train_epochs": 4, "gradient_accumulation_steps": 2, "save_steps": 2,
        "lora": {"lora_dropout": 0.1}, "validation_split": 0.25, "eval_steps": 3, **more,
    }  # fmt: skip
    undisturbed, _ = train(home, config)
    folder = home.create_run()
    trainer = LoRATrainer(folder)
    trainer.stop = StopAfter(folder, reported, mode)
    stopped = trainer.train(config)
    assert stopped["state"] == "stopped"
    ended = read_events(folder.events)[-1]
    assert isinstance(ended, Stopped)
    assert ended.resumable
    assert folder.result.exists() is (mode == "save")
    _, finished = train(home, config, folder, attempt=2)
    assert finished["state"] == "finished"
    assert read_started(folder).resumed_from_step == from_step
    assert losses(folder) == losses(undisturbed)
    assert [event.loss for event in events(folder, Evaluated)] == [
        event.loss for event in events(undisturbed, Evaluated)
    ]
    assert [event.tokens for event in events(folder, Step)] == [event.tokens for event in events(undisturbed, Step)]
    assert adapter_bytes(folder) == adapter_bytes(undisturbed)


@pytest.mark.gpu
def test_gpu_run_resumes_with_the_same_curve(home: Home, tiny_config: dict[str, Any]) -> None:
    """With the card's own random numbers put back; equality to the last bit is promised on the CPU only."""
    import torch

    from trainer.lora_trainer import LoRATrainer

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device: run it on a machine with an NVIDIA card")
    config = {**tiny_config, "gradient_accumulation_steps": 2, "lora": {"lora_dropout": 0.1}, "num_train_epochs": 4}
    undisturbed, _ = train(home, config)
    folder = home.create_run()
    trainer = LoRATrainer(folder)
    trainer.stop = StopAfter(folder, 3, "save")
    assert trainer.train(config)["state"] == "stopped"
    train(home, config, folder, attempt=2)
    assert read_started(folder).device.startswith("cuda")
    assert losses(folder) == pytest.approx(losses(undisturbed), rel=1e-3)


def read_started(folder: RunFolder) -> Started:
    return [event for event in read_events(folder.events) if isinstance(event, Started)][-1]


@pytest.mark.parametrize("bf16", [False, True])
def test_full_fine_tuning_leaves_a_model_that_plain_transformers_loads(
    home: Home, tiny_config: dict[str, Any], tiny_model: Path, bf16: bool
) -> None:
    """With the settings of its base, its tokenizer, and where an answer ends; the base has answered first."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    config = {
        **tiny_config, "tuning": "full", "bf16": bf16, "num_train_epochs": 10, "learning_rate": 3e-3,
        "sample_prompts": ["Say 3."], "sample_max_new_tokens": 12, "save_steps": 4,
    }  # fmt: skip
    folder, result = train(home, config)
    assert (result["state"], result["adapter"]) == ("finished", str(folder.model))
    assert not folder.adapter.exists()
    assert result["train_loss_last"] < 0.5 * result["train_loss_first"]
    first, last = events(folder, Sampled)
    assert (first.step, last.step) == (0, 40)
    dtype = torch.bfloat16 if bf16 else torch.float32
    for place, answer in ((tiny_model, first.answer), (folder.model, last.answer)):
        model = AutoModelForCausalLM.from_pretrained(place, dtype=dtype)
        tokenizer = AutoTokenizer.from_pretrained(place)
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": "Say 3."}], add_generation_prompt=True, return_tensors="pt"
        )["input_ids"]  # fmt: skip
        made = model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
        assert tokenizer.decode(made, skip_special_tokens=True).strip() == answer
    written, base = read_json(folder.model / "config.json"), read_json(tiny_model / "config.json")
    assert {**(written or {}), "dtype": ""} == {**(base or {}), "dtype": ""}
    assert (written or {})["dtype"] == ("bfloat16" if bf16 else "float32")
    assert "library_name: transformers" in (folder.model / "README.md").read_text()
    # Checkpoints keep what the optimizer has updated.
    stored = load_file(folder.checkpoint(40) / "model.safetensors")
    assert {weight.dtype for weight in stored.values()} == {torch.float32}
    assert all(
        torch.equal(stored[name].to(dtype), weight)
        for name, weight in load_file(folder.model / "model.safetensors").items()
    )


@pytest.mark.parametrize("method", ["pretrain", "dpo"])
def test_embeddings_are_trained_beside_the_adapter_with_their_own_rate(
    home: Home, tiny_config: dict[str, Any], tiny_model: Path, tmp_path: Path, method: str
) -> None:
    """In 32 bits where the model is in 16; the result loads in plain PEFT, and is merged from its files."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from trainer.artifacts.merged_model import MergedModel

    rows: list[dict[str, str]] = [{"text": f"Number {number} is here." * (1 + number % 5)} for number in range(12)]
    if method == "dpo":
        rows = [{"prompt": f"Say {n}.", "chosen": f"It is {n}", "rejected": "No" * (1 + n % 4)} for n in range(12)]
    config = {
        **tiny_config, "method": method, "dataset": str(write_rows(tmp_path / "rows.jsonl", rows)), "bf16": True,
        "lora": {"modules_to_save": ["embed_tokens", "lm_head"]}, "embedding_learning_rate": 1e-5,
        "learning_rate": 1e-3, "num_train_epochs": 8, "save_steps": 3,
    }  # fmt: skip
    folder, result = train(home, config)
    assert result["state"] == "finished"
    assert result["train_loss_last"] < result["train_loss_first"]
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    before = base.get_input_embeddings().weight.detach().clone()
    steps = events(folder, CheckpointCommitted)[-1].step
    stored = load_file(folder.checkpoint(steps) / "adapter_model.safetensors")
    table = stored["base_model.model.model.embed_tokens.weight"]
    moved = (table - before.to(torch.bfloat16).float()).abs().max()
    assert table.dtype == torch.float32
    assert 0 < moved <= 1.01e-5 * steps, "the rate is that of the embeddings"
    merged = MergedModel(tiny_model, folder.adapter)
    expected = PeftModel.from_pretrained(base, folder.adapter).merge_and_unload(safe_merge=True).state_dict()
    for name in merged.names:
        assert torch.allclose(merged.tensor(name).float(), expected[name].float(), atol=1e-6), name


def test_full_fine_tuning_with_a_reference_learns_preferences(
    home: Home, tiny_config: dict[str, Any], tmp_path: Path
) -> None:
    """Its reference are the weights before the first step, also after a resume."""
    from trainer.lora_trainer import LoRATrainer

    rows = [{"prompt": f"Say {n}.", "chosen": f"It is {n}", "rejected": "No" * (1 + n % 4)} for n in range(12)]
    config = {
        **tiny_config, "tuning": "full", "method": "dpo", "num_train_epochs": 4, "learning_rate": 1e-3,
        "dataset": str(write_rows(tmp_path / "pairs.jsonl", rows)), "save_steps": 5,
    }  # fmt: skip
    undisturbed, _ = train(home, config)
    steps = events(undisturbed, Step)
    assert steps[0].loss == pytest.approx(0.6931, abs=1e-3)
    assert steps[0].metrics["rewards/margins"] == pytest.approx(0, abs=1e-4)
    assert steps[-1].metrics["rewards/margins"] > 0.1
    folder = home.create_run()
    trainer = LoRATrainer(folder)
    trainer.stop = StopAfter(folder, 7, "save")
    trainer.train(config)
    train(home, config, folder, attempt=2)
    assert [(step.loss, step.metrics) for step in events(folder, Step)] == [(step.loss, step.metrics) for step in steps]
    assert adapter_bytes(folder) == adapter_bytes(undisturbed)


def test_a_run_stopped_before_its_first_step_has_nothing_to_resume(home: Home, tiny_config: dict[str, Any]) -> None:
    folder = home.create_run()
    write_json(folder.stop, {"mode": "save", "attempt": 1})
    _, result = train(home, tiny_config, folder)
    ended = read_events(folder.events)[-1]
    assert (result["state"], isinstance(ended, Stopped) and ended.resumable) == ("stopped", False)


def test_stop_file_of_earlier_attempt_is_ignored(home: Home, tiny_config: dict[str, Any]) -> None:
    folder = home.create_run()
    write_json(folder.stop, {"mode": "save", "attempt": 1})
    _, result = train(home, tiny_config, folder, attempt=2)
    assert result["state"] == "finished"


@pytest.mark.parametrize(
    "more", [{}, {"bf16": True, "lora": {"autocast_adapter_dtype": False}}], ids=["32 bits", "16 bits"]
)
def test_damaged_checkpoint_is_skipped_and_reported(
    home: Home, tiny_config: dict[str, Any], more: dict[str, Any]
) -> None:
    config = {**tiny_config, "save_steps": 2, "num_train_epochs": 3, **more}
    undisturbed, _ = train(home, config)
    folder, _ = train(home, config)
    (folder.checkpoint(12) / "optimizer.pt").unlink()
    train(home, config, folder, attempt=2)
    assert read_started(folder).resumed_from_step == 10
    [warning] = events(folder, Warned)
    assert "optimizer.pt is missing" in sentence(warning.problem)
    assert adapter_bytes(folder) == adapter_bytes(undisturbed)


def test_no_pickle_that_may_hold_a_token_stays(home: Home, tiny_config: dict[str, Any]) -> None:
    folder, _ = train(home, {**tiny_config, "save_steps": 2})
    assert len(list(folder.checkpoints.iterdir())) == 2
    assert not list(folder.path.rglob("training_args.bin"))
    assert not folder.staging.exists()


def test_diverging_run_stops_with_advice(
    home: Home, tiny_config: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    with torch.no_grad():
        model.model.norm.weight[0] = torch.inf
    model.save_pretrained(tmp_path / "broken")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "broken")
    folder, result = train(home, {**tiny_config, "model_name": str(tmp_path / "broken")})
    failed = read_events(folder.events)[-1]
    assert isinstance(failed, Failed)
    assert (failed.problem.code, failed.problem.params["step"]) == (Code.LOSS_NOT_FINITE, 1)
    assert result["state"] == "failed"


def test_early_stopping_ends_a_run_that_learns_nothing_more(home: Home, tiny_config: dict[str, Any]) -> None:
    config = {
        **tiny_config, "num_train_epochs": 100, "validation_split": 0.25, "eval_steps": 2, "early_stopping_patience": 2,
        "learning_rate": 5e-2,
    }  # fmt: skip
    folder, result = train(home, config)
    measured = [event.loss for event in events(folder, Evaluated)]
    assert result["state"] == "finished"
    assert result["steps"] < 300
    assert len(measured) - 1 - measured.index(min(measured)) == 2


@pytest.mark.parametrize(
    "more",
    [
        {"gradient_checkpointing": True},
        {"load_in_8bit": True},
        {"load_in_4bit": True},
        {"load_in_4bit": True, "gradient_checkpointing": True},
        {"bf16": True},
        {"lora": {"use_dora": True}},
        {"lora": {"use_rslora": True, "target_modules": ["q_proj", "v_proj"]}},
        {"lora": {"target_modules": ["all-linear"]}},
        {"neftune_noise_alpha": 5},
        {"packing": True},
        {"lora": {"autocast_adapter_dtype": False}, "bf16": True},
    ],
    ids=lambda more: "-".join(more),
)
def test_loss_falls_in_every_training_mode(home: Home, tiny_config: dict[str, Any], more: dict[str, Any]) -> None:
    folder, result = train(home, {**tiny_config, "num_train_epochs": 6, **more})
    assert result["state"] == "finished", result["problem"]
    assert result["train_loss_last"] < 0.8 * result["train_loss_first"]
    assert (folder.adapter / "adapter_model.safetensors").is_file()


def test_checkpointing_changes_no_number(home: Home, tiny_config: dict[str, Any]) -> None:
    plain, _ = train(home, tiny_config)
    recomputed, _ = train(home, {**tiny_config, "gradient_checkpointing": True})
    assert losses(plain) == pytest.approx(losses(recomputed), rel=1e-5)


def test_packed_or_not_a_token_costs_the_same(home: Home, tiny_config: dict[str, Any]) -> None:
    config = {**tiny_config, "validation_split": 0.4, "eval_steps": 1, "max_steps": 2, "learning_rate": 1e-12}
    counted, _ = train(home, config)
    packed, result = train(home, {**config, "packing": True, "max_tokens_per_batch": 400})
    assert result["state"] == "finished"
    # At such a rate the same model is evaluated, in batches of 2 and all in one.
    first = [events(folder, Evaluated)[0].loss for folder in (counted, packed)]
    assert first[0] == pytest.approx(first[1], rel=1e-5)
    steps = [events(folder, Step)[0] for folder in (counted, packed)]
    assert steps[1].tokens > 2 * steps[0].tokens


def test_an_epoch_of_packs_is_every_example_once(home: Home, tiny_config: dict[str, Any]) -> None:
    runs = [train(home, {**tiny_config, "num_train_epochs": 1, **more})[0] for more in ({}, {"packing": True})]
    counted, packed = (events(folder, Step) for folder in runs)
    assert len(packed) < len(counted)
    assert sum(step.tokens for step in packed) == sum(step.tokens for step in counted)
    assert sum(step.trained_tokens for step in packed) == sum(step.trained_tokens for step in counted)


def test_truncated_rows_are_reported_with_count(home: Home, tiny_config: dict[str, Any], tmp_path: Path) -> None:
    rows = [*alpaca_rows(3), {"instruction": "x" * 200, "output": "y"}, {"instruction": "x", "output": "y" * 200}]
    folder, result = train(
        home, {**tiny_config, "dataset": str(write_rows(tmp_path / "long.jsonl", rows)), "max_length": 80}
    )
    assert result["state"] == "finished"
    reported = {event.problem.code: event.problem.params for event in events(folder, Warned)}
    assert (reported[Code.ROWS_CUT]["count"], reported[Code.ROWS_CUT]["rows"]) == (2, 5)
    assert (reported[Code.ROWS_LEFT_OUT]["count"], reported[Code.ROWS_LEFT_OUT]["first"]) == (1, [4])


def test_nothing_left_to_train_is_refused(home: Home, tiny_config: dict[str, Any]) -> None:
    _, result = train(home, {**tiny_config, "max_length": 16})
    assert result["problem"]["code"] == Code.NOTHING_TO_TRAIN


def test_lineage_records_the_origin_of_the_result(home: Home, tiny_config: dict[str, Any]) -> None:
    folder, _ = train(home, tiny_config)
    lineage = read_json(folder.lineage)
    assert lineage is not None
    assert lineage["dataset"]["name"] == "rows.jsonl"
    assert len(lineage["dataset"]["sha256"]) == 64
    assert lineage["base"]["requested"] == tiny_config["model_name"]
    assert lineage["machine"].pop("hardware").endswith("cores")
    assert len(lineage["base"]["fingerprint"]) == 64
    assert lineage["machine"] == {
        "device": "cpu", "dtype": "float32", "threads": 1, "batches": "flat", "logits": "trained",
    }  # fmt: skip
    assert lineage["versions"]["torch"].startswith("2.")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model_name": "/no/such/folder"}, Code.FILE_MISSING),
        ({"dataset": "/no/such/file.jsonl"}, Code.FILE_MISSING),
        ({"fp16": True}, Code.DTYPE_UNAVAILABLE),
        ({"lora": {"target_modules": ["q_proj", "no_such_layer"]}}, Code.TARGET_MODULES_MISSING),
        ({"lora": {"target_modules": ["self_attn"]}}, Code.TARGET_MODULES_MISSING),
        ({"lora": {"target_modules": ["input_layernorm"]}}, Code.TARGET_MODULES_MISSING),
    ],
)
def test_what_cannot_be_trained_fails_with_its_reason(
    home: Home, tiny_config: dict[str, Any], change: dict[str, Any], code: Code
) -> None:
    folder, result = train(home, {**tiny_config, **change})
    assert (result["state"], result["problem"]["code"]) == ("failed", code)
    assert isinstance(read_events(folder.events)[-1], Failed)


def test_resume_completes_what_a_late_stop_skipped(home: Home, tiny_config: dict[str, Any]) -> None:
    from trainer.lora_trainer import LoRATrainer

    config = {**tiny_config, "validation_split": 0.25, "eval_steps": 5, "sample_prompts": ["Say 1."]}
    undisturbed, _ = train(home, config)
    folder = home.create_run()
    trainer = LoRATrainer(folder)
    trainer.stop = StopAfter(folder, len(losses(undisturbed)), "save")
    assert trainer.train(config)["state"] == "stopped"
    assert adapter_bytes(folder) == adapter_bytes(undisturbed)
    _, result = train(home, config, folder, attempt=2)
    assert result["state"] == "finished"
    for kind in (Evaluated, Sampled):
        reported = [event.model_dump(exclude={"seq", "attempt", "time", "seconds"}) for event in events(folder, kind)]
        assert reported == [
            event.model_dump(exclude={"seq", "attempt", "time", "seconds"}) for event in events(undisturbed, kind)
        ]


def test_last_step_is_always_logged(home: Home, tiny_config: dict[str, Any]) -> None:
    folder, result = train(home, {**tiny_config, "logging_steps": 3})
    assert [event.step for event in events(folder, Step)] == [1, 3, 6, 8]
    assert result["steps"] == 8


def test_resumed_run_keeps_its_dtype(home: Home, tiny_config: dict[str, Any]) -> None:
    """A probe that answers otherwise the second time, or another machine, must not change the format in silence."""
    config = {**tiny_config, "bf16": "auto", "save_steps": 2}
    folder, _ = train(home, config)
    recorded = read_json(folder.lineage)
    assert recorded is not None
    other = "float32" if recorded["machine"]["dtype"] == "bfloat16" else "bfloat16"
    write_json(folder.lineage, {**recorded, "machine": {**recorded["machine"], "dtype": other}})
    train(home, config, folder, attempt=2)
    assert read_started(folder).dtype == other
    # Without a checkpoint nothing goes on: the run begins anew, and its record says with what.
    shutil.rmtree(folder.checkpoints)
    train(home, config, folder, attempt=3)
    started, record = read_started(folder), read_json(folder.lineage)
    assert record is not None
    assert started.resumed_from_step is None
    assert started.dtype == record["machine"]["dtype"] == recorded["machine"]["dtype"]


def test_one_step_moves_the_weights(home: Home, tiny_config: dict[str, Any]) -> None:
    """Eight rows in one batch, one epoch: a warm-up of a share of one step was a run at rate 0."""
    config = {**tiny_config, "num_train_epochs": 1, "per_device_train_batch_size": 8, "warmup_steps": 0.03}
    folder, result = train(home, config)
    assert result["state"] == "finished"
    weights = load_file(folder.adapter / "adapter_model.safetensors")
    moved = [name for name, weight in weights.items() if "lora_B" in name and bool(weight.any())]
    assert len(moved) == sum("lora_B" in name for name in weights)


def test_run_without_weight_changes_fails(home: Home, tiny_config: dict[str, Any]) -> None:
    folder, result = train(home, {**tiny_config, "learning_rate": 1e-60})
    assert result["state"] == "failed"
    assert read_events(folder.events)[-1].problem.code == Code.NOTHING_LEARNED
    assert not folder.adapter.exists()


def test_dropped_answers_are_not_reported_as_truncated(home: Home, tiny_config: dict[str, Any], tmp_path: Path) -> None:
    forgets = CHATML.replace("message['content']", "message['content'].split('</think>')[-1]")
    model = make_tiny_model(tmp_path / "forgets", forgets)
    rows = [{"prompt": f"{n}?", "completion": f"<think>\nCount.\n</think>\n\n{n}"} for n in range(8)]
    config = {**tiny_config, "model_name": str(model), "dataset": str(write_rows(tmp_path / "think.jsonl", rows))}
    folder, result = train(home, config)
    assert result["state"] == "failed"
    said = sentence(read_events(folder.events)[-1].problem)
    assert "drops or rewrites" in said
    assert "max_length" not in said
    some = [*rows, *alpaca_like(8)]
    folder, result = train(home, {**config, "dataset": str(write_rows(tmp_path / "some.jsonl", some))})
    warned = {event.problem.code: event.problem.params for event in events(folder, Warned)}
    assert result["state"] == "finished"
    assert warned[Code.ROWS_NOT_SHOWN]["count"] == 8
    assert Code.ROWS_LEFT_OUT not in warned


def alpaca_like(count: int) -> list[dict[str, str]]:
    return [{"prompt": row["instruction"], "completion": row["output"]} for row in alpaca_rows(count)]
