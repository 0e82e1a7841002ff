"""Ten configs, written after the documented keys of LLaMA-Factory and axolotl: each is translated, or says what can't be."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from interfaces.config import FineTuneConfig
from interfaces.errors import FineTuneError
from interfaces.texts import sentence
from interfaces.validation import config_errors
from studio.foreign_config import Translation, looks_like, translated

FACTORY_LORA = """
model_name_or_path: Qwen/Qwen2.5-0.5B-Instruct
trust_remote_code: true
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 8
lora_target: all
dataset: identity,alpaca_en_demo
template: qwen
cutoff_len: 1024
max_samples: 1000
preprocessing_num_workers: 16
output_dir: saves/qwen
logging_steps: 10
save_steps: 500
plot_loss: true
overwrite_output_dir: true
report_to: none
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 1.0e-4
num_train_epochs: 3.0
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
ddp_timeout: 180000000
resume_from_checkpoint: null
val_size: 0.1
per_device_eval_batch_size: 1
eval_strategy: steps
eval_steps: 500
"""
FACTORY_QLORA = """
model_name_or_path: /models/mine
quantization_bit: 4
quantization_method: bnb
stage: sft
finetuning_type: lora
lora_rank: 16
lora_alpha: 64
lora_dropout: 0.05
lora_target: q_proj,v_proj
dataset: rows.jsonl
cutoff_len: 512
packing: true
flash_attn: fa2
optim: paged_adamw_8bit
disable_gradient_checkpointing: true
seed: 7
"""
FACTORY_SHAREGPT = """
model_name_or_path: starter
finetuning_type: lora
stage: sft
dataset: [tools]
use_dora: true
neftune_noise_alpha: 5
save_total_limit: 1
eval_strategy: "no"
"""
FACTORY_DPO = "{model_name_or_path: m, stage: dpo, finetuning_type: lora, dataset: rows.jsonl, pref_beta: 0.1}"
FACTORY_FULL = "{model_name_or_path: m, stage: sft, finetuning_type: full, dataset: nowhere, deepspeed: ds.json}"
AXOLOTL_LORA = """
base_model: NousResearch/Llama-3.2-1B
model_type: LlamaForCausalLM
load_in_8bit: true
load_in_4bit: false
strict: false
datasets:
  - path: teknium/GPT4-LLM-Cleaned
    type: alpaca
dataset_prepared_path: last_run_prepared
val_set_size: 0.1
output_dir: ./outputs/lora-out
adapter: lora
lora_model_dir:
sequence_len: 2048
sample_packing: true
eval_sample_packing: true
lora_r: 16
lora_alpha: 32
lora_dropout: 0.05
lora_target_linear: true
wandb_project: mine
gradient_accumulation_steps: 2
micro_batch_size: 2
num_epochs: 4
optimizer: adamw_bnb_8bit
lr_scheduler: cosine
learning_rate: 0.0002
bf16: auto
tf32: false
gradient_checkpointing: true
resume_from_checkpoint:
logging_steps: 1
flash_attention: true
warmup_ratio: 0.1
evals_per_epoch: 4
saves_per_epoch: 1
weight_decay: 0.0
special_tokens:
  pad_token: "<|end_of_text|>"
"""
AXOLOTL_CHAT = """
base_model: starter
chat_template: tokenizer_default
datasets:
  - path: rows.jsonl
    type: chat_template
    field_messages: talk
    roles_to_train: [assistant]
    train_on_eos: turn
adapter: qlora
load_in_4bit: true
sequence_len: 4096
lora_r: 32
lora_alpha: 16
lora_target_modules: [q_proj, k_proj]
peft_use_rslora: true
micro_batch_size: 1
num_epochs: 1
optimizer: lion_pytorch
learning_rate: 2e-4
train_on_inputs: false
"""
AXOLOTL_COLUMNS = """
base_model: starter
adapter: lora
lora_r: 8
lora_alpha: 16
datasets:
  - path: json
    data_files: [a.jsonl, b.jsonl]
    type: {field_instruction: ask, field_output: reply, format: "[INST] {instruction} [/INST]"}
test_datasets: [{path: held.jsonl}]
learning_rate: 0.0001
fp16: auto
"""
AXOLOTL_FULL = (
    "{base_model: m, datasets: [{path: rows.jsonl, type: alpaca}], learning_rate: 1e-5, train_on_inputs: true}"
)
AXOLOTL_DPO = (
    "{base_model: m, rl: dpo, adapter: lora, datasets: [{path: rows.jsonl}], learning_rate: 1e-5, invented_key: 3}"
)


def translate(text: str, source: str, folder: Path) -> Translation:
    for name in ("rows.jsonl", "a.jsonl", "b.jsonl", "held.jsonl"):
        (folder / name).touch()
    (folder / "data").mkdir(exist_ok=True)
    described = {
        "identity": {"file_name": "identity.json"},
        "alpaca_en_demo": {"hf_hub_url": "llamafactory/alpaca_en", "split": "train", "columns": {"prompt": "ask", "response": "reply"}},
        "tools": {"file_name": "t.json", "formatting": "sharegpt", "columns": {"messages": "talk", "tools": "offers"}},
    }  # fmt: skip
    (folder / "data" / "dataset_info.json").write_text(json.dumps(described))
    return translated(yaml.safe_load(text), source, folder)


def checked(found: Translation) -> FineTuneConfig:
    assert found.refused == []
    assert config_errors(found.config) == []
    return FineTuneConfig.model_validate(found.config)


def test_llamafactory_lora(tmp_path: Path) -> None:
    found = translate(FACTORY_LORA, "llamafactory", tmp_path)
    config = checked(found)
    assert config.dataset == {str(tmp_path / "data" / "identity.json"): 1.0, "hub:llamafactory/alpaca_en::train": 1.0}
    assert config.columns == {"prompt": "ask", "completion": "reply"}
    assert (config.max_length, config.warmup_steps, config.validation_split, config.save_steps) == (1024, 0.1, 0.1, 500)
    assert (config.lora.r, config.lora.lora_alpha, config.lora.target_modules) == (8, 16, "all-linear"), (
        "alpha is 2 r there"
    )
    assert set(found.left) == {"trust_remote_code", "template", "max_samples"}


def test_llamafactory_qlora(tmp_path: Path) -> None:
    config = checked(translate(FACTORY_QLORA, "llamafactory", tmp_path))
    assert (config.load_in_4bit, config.packing, config.gradient_checkpointing) == (True, True, False)
    assert (config.lora.lora_alpha, config.lora.target_modules) == (64, ["q_proj", "v_proj"])
    assert (config.learning_rate, config.gradient_accumulation_steps) == (5e-5, 1), "their defaults, not ours"


def test_llamafactory_sharegpt(tmp_path: Path) -> None:
    config = checked(translate(FACTORY_SHAREGPT, "llamafactory", tmp_path))
    assert config.columns == {"messages": "talk", "tools": "offers"}
    assert (config.lora.use_dora, config.neftune_noise_alpha, config.save_total_limit, config.eval_steps) == (
        True,
        5,
        2,
        0,
    )


def test_axolotl_lora(tmp_path: Path) -> None:
    found = translate(AXOLOTL_LORA, "axolotl", tmp_path)
    config = checked(found)
    assert config.dataset == "hub:teknium/GPT4-LLM-Cleaned"
    assert (config.load_in_8bit, config.optim, config.packing) == (True, "adamw_8bit", True)
    assert (config.eval_steps, config.save_steps) == (1 / 16, 1 / 4)
    assert set(found.left) == {"special_tokens"}


def test_axolotl_chat(tmp_path: Path) -> None:
    found = translate(AXOLOTL_CHAT, "axolotl", tmp_path)
    config = checked(found)
    assert (config.dataset, config.columns) == ("rows.jsonl", {"messages": "talk"})
    assert (config.learning_rate, config.lora.use_rslora, config.load_in_4bit) == (2e-4, True, True)
    assert set(found.left) == {"optimizer", "datasets.roles_to_train", "datasets.train_on_eos"}


def test_full_fine_tuning_is_converted(tmp_path: Path) -> None:
    found = translate(AXOLOTL_FULL, "axolotl", tmp_path)
    assert (found.refused, found.settings["tuning"]) == ([], "full")
    assert translate(FACTORY_FULL, "llamafactory", tmp_path).settings["tuning"] == "full"


def test_axolotl_columns(tmp_path: Path) -> None:
    found = translate(AXOLOTL_COLUMNS, "axolotl", tmp_path)
    config = checked(found)
    assert config.dataset == {"a.jsonl": 1.0, "b.jsonl": 1.0}
    assert (config.columns, config.validation_dataset) == ({"prompt": "ask", "completion": "reply"}, "held.jsonl")
    assert set(found.left) == {"datasets.type.format"}


@pytest.mark.parametrize(
    ("text", "source", "fields"),
    [
        (FACTORY_DPO.replace("stage: dpo", "stage: ppo"), "llamafactory", {"stage"}),
        (FACTORY_FULL, "llamafactory", {"dataset"}),
        (FACTORY_FULL.replace("full", "freeze"), "llamafactory", {"adapter / finetuning_type", "dataset"}),
        (AXOLOTL_DPO.replace("rl: dpo", "rl: grpo"), "axolotl", {"rl"}),
    ],
)
def test_other_training_is_refused_by_name(tmp_path: Path, text: str, source: str, fields: set[str]) -> None:
    found = translate(text, source, tmp_path)
    assert {problem.params["field"] for problem in found.refused} == fields
    for problem in found.refused:
        assert "can't be converted" in sentence(problem)
    if source == "axolotl" and "invented" in text:
        assert found.left["invented_key"] == "there is no equivalent setting"


@pytest.mark.parametrize(
    ("text", "source", "settings"),
    [
        (FACTORY_DPO, "llamafactory", {"method": "dpo", "dpo": {"beta": 0.1}}),
        (FACTORY_DPO.replace("pref_beta", "pref_loss: orpo, pref_beta"), "llamafactory", {"method": "orpo", "orpo": {"beta": 0.1}}),
        (FACTORY_DPO.replace("pref_beta", "pref_loss: hinge, pref_beta"), "llamafactory", {"method": "dpo", "dpo": {"beta": 0.1, "loss_type": "hinge"}}),
        (FACTORY_DPO.replace("stage: dpo", "stage: kto, kto_rejected_weight: 2"), "llamafactory", {"method": "kto", "kto": {"beta": 0.1, "undesirable_weight": 2}}),
        (FACTORY_DPO.replace("stage: dpo", "stage: rm"), "llamafactory", {"method": "reward", "long_rows": "drop"}),
        (FACTORY_DPO.replace("stage: dpo", "stage: dpo, pissa_init: true, additional_target: 'embed_tokens,lm_head'"), "llamafactory", {"lora": {"r": 8, "lora_alpha": 16, "init_lora_weights": "pissa", "modules_to_save": ["embed_tokens", "lm_head"]}}),
        ("{base_model: m, adapter: lora, reward_model: true, center_rewards_coefficient: 0.01, datasets: [{path: rows.jsonl}]}", "axolotl", {"method": "reward", "long_rows": "drop", "reward": {"center_rewards_coefficient": 0.01}}),
        ("{base_model: m, adapter: lora, lora_modules_to_save: [embed_tokens], datasets: [{path: rows.jsonl, type: alpaca}]}", "axolotl", {"lora": {"modules_to_save": ["embed_tokens"]}}),
        ("{base_model: m, adapter: lora, rl: ipo, rl_beta: 0.2, datasets: [{path: rows.jsonl}]}", "axolotl", {"method": "dpo", "dpo": {"loss_type": "ipo", "beta": 0.2}}),
        ("{base_model: m, adapter: lora, rl: kto, kto_desirable_weight: 0.5, datasets: [{path: rows.jsonl}]}", "axolotl", {"method": "kto", "kto": {"desirable_weight": 0.5}}),
        ("{base_model: m, adapter: lora, train_on_inputs: true, datasets: [{path: rows.jsonl, type: alpaca}]}", "axolotl", {"assistant_only_loss": False}),
    ],
)  # fmt: skip
def test_preference_methods_are_converted_with_their_settings(
    tmp_path: Path, text: str, source: str, settings: dict[str, Any]
) -> None:
    found = translate(text, source, tmp_path)
    assert not [problem for problem in found.refused if problem.params["field"] != "dataset"]
    assert {name: found.config.get(name) for name in settings} == settings
    assert not {"pref_beta", "pref_loss", "rl_beta", "kto_rejected_weight"} & found.left.keys()


def test_config_source_is_detected_by_keys(tmp_path: Path) -> None:
    def of(text: str) -> Any:
        return looks_like(yaml.safe_load(text))

    assert [of(text) for text in (FACTORY_LORA, FACTORY_DPO, AXOLOTL_LORA, AXOLOTL_CHAT)] == [
        "llamafactory", "llamafactory", "axolotl", "axolotl",
    ]  # fmt: skip
    assert of("{model_name: starter, dataset: rows.jsonl, max_length: 64}") is None
    with pytest.raises(FineTuneError, match="should be one of llamafactory, axolotl"):
        translated({}, "trl", tmp_path)


def factory(tmp_path: Path, entry: dict[str, Any], stage: str = "sft") -> Any:
    (tmp_path / "dataset_info.json").write_text(
        json.dumps({"own": {"file_name": "own.json", **entry}}), encoding="utf-8"
    )
    values = {
        "model_name_or_path": "starter",
        "stage": stage,
        "finetuning_type": "lora",
        "dataset": "own",
        "dataset_dir": str(tmp_path),
    }
    return translated(values, "llamafactory", tmp_path)


def test_a_described_dataset_of_llamafactory_is_read_as_described(tmp_path: Path) -> None:
    found = factory(tmp_path, {"columns": {"prompt": "text"}}, stage="pt")
    assert (found.config["method"], found.config["columns"]) == ("pretrain", {"text": "text"})
    found = factory(tmp_path, {"ranking": True, "columns": {"prompt": "q", "chosen": "good", "rejected": "bad"}})
    assert found.config["columns"] == {"prompt": "q", "chosen": "good", "rejected": "bad"}
    assert "dataset_info.num_samples" in factory(tmp_path, {"num_samples": 1}).left


def test_tags_that_swap_roles_are_rejected(tmp_path: Path) -> None:
    usual = {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"}
    assert not factory(tmp_path, {"formatting": "sharegpt", "tags": usual}).refused
    turned = factory(
        tmp_path, {"formatting": "sharegpt", "tags": {**usual, "user_tag": "gpt", "assistant_tag": "human"}}
    )
    assert {problem.params["field"] for problem in turned.refused} == {
        "dataset_info.tags.user_tag",
        "dataset_info.tags.assistant_tag",
    }
