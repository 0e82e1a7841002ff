"""Translates configs of LLaMA-Factory and axolotl. Lists settings without an equivalent and rejects other training.

For a setting that a config omits, the source's default is used and not ours, so that the run is the intended one.
Sources: LLaMA-Factory's `hparams/` and `data/README.md`; axolotl's `docs/config-reference`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interfaces.config import FineTuneConfig, fields
from interfaces.data_files import SUFFIXES
from interfaces.dotted_names import nested
from interfaces.errors import FineTuneError
from interfaces.foreign_names import FOREIGN_NAMES
from interfaces.problems import Code, Problem
from interfaces.run_config import Settings

SOURCES = ("llamafactory", "axolotl")
_OURS = {name for name, _ in fields()} - {"dataset", "output_dir", "schema_version", "columns", "lora.target_modules"}
_DEFAULTS: dict[str, Settings] = {
    "llamafactory": {
        "max_length": 2048, "learning_rate": 5e-5, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 1,
        "num_train_epochs": 3.0, "warmup_steps": 0.0, "lr_scheduler_type": "linear", "validation_split": 0.0,
        "lora.r": 8, "gradient_checkpointing": True,
    },
    "axolotl": {
        "max_length": 512, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 1, "num_train_epochs": 1.0,
        "lr_scheduler_type": "cosine", "validation_split": 0.0, "gradient_checkpointing": False,
    },
}  # fmt: skip
_OPTIMIZERS = {"adamw_bnb_8bit": "adamw_8bit", "paged_adamw": "paged_adamw_8bit", "adamw_hf": "adamw_torch"}
_BY_ITSELF = {
    "do_train", "do_eval", "overwrite_cache", "overwrite_output_dir", "output_dir", "plot_loss", "report_to", "run_name", "save_only_model",
    "preprocessing_num_workers", "dataloader_num_workers", "dataloader_pin_memory", "dataset_num_proc", "dataset_processes", "ddp_timeout",
    "deepspeed", "fsdp", "fsdp_config", "flash_attn", "flash_attention", "sdp_attention", "xformers_attention", "attn_implementation",
    "enable_liger_kernel", "use_unsloth", "use_unsloth_gc", "plugins", "liger_rope", "liger_rms_norm", "liger_glu_activation",
    "liger_fused_linear_cross_entropy", "cut_cross_entropy", "per_device_eval_batch_size", "eval_batch_size", "eval_sample_packing",
    "pad_to_sequence_len", "group_by_length", "tf32", "include_tokens_per_second", "include_num_input_tokens_seen", "logging_dir",
    "dataset_prepared_path", "hub_model_id", "hub_strategy", "push_to_hub", "save_safetensors", "strict", "debug", "local_rank", "save_strategy",
    "model_type", "tokenizer_type", "tokenizer_use_fast", "is_llama_derived_model", "gradient_checkpointing_kwargs", "loss_watchdog_threshold",
    "loss_watchdog_patience", "dataset_dir", "cache_dir", "hf_hub_token", "disable_shuffling", "bnb_4bit_quant_type", "quantization_type",
    "double_quantization", "quantization_method", "lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "torch_dtype", "upcast_layernorm",
    "use_fast_tokenizer", "low_cpu_mem_usage", "val_strategy", "resize_token_embeddings_to_32x", "lora_fan_in_fan_out", "eval_table_size",
}  # fmt: skip
"""Output, logging, and speed settings, which we handle automatically. They don't change what is trained on."""
_WITHOUT = {
    "template": "the model's own chat template is used", "chat_template": "the model's own chat template is used",
    "chat_template_jinja": "the model's own chat template is used", "trust_remote_code": "custom model code is never run",
    "max_samples": "all rows are used; shorten the file to use fewer", "resume_from_checkpoint": "use 'finetune resume RUN' instead",
    "auto_resume_from_checkpoints": "use 'finetune resume RUN' instead", "special_tokens": "the tokenizer's own special tokens are used",
    "tokens": "no tokens are added to the vocabulary", "added_tokens_overrides": "no tokens are added to the vocabulary",
    "new_special_tokens": "no tokens are added to the vocabulary", "mask_history": "all answers of a conversation are trained on",
    "interleave_probs": "use dataset weights instead: dataset: {a.jsonl: 2, b.jsonl: 1}", "mix_strategy": "all rows are used and shuffled", "curriculum_sampling": "rows are always shuffled", "lr_scheduler_kwargs": "the schedule's defaults are used",
    "adam_beta1": "the optimizer's default is used", "adam_beta2": "the optimizer's default is used", "adam_epsilon": "the optimizer's default is used",
    "adam_beta3": "the optimizer's default is used", "cosine_min_lr_ratio": "the learning rate decays to 0", "shuffle_merged_datasets": "rows are always shuffled",
    "enable_thinking": "the model's own chat template determines this", "default_system": "the system messages in the rows are used",
    "metric_for_best_model": "the validation loss is always used", "greater_is_better": "the validation loss is always used",
}  # fmt: skip


@dataclass
class Translation:
    """The translated config, the settings without an equivalent and why, and the problems that block a start."""

    settings: Settings = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    refused: list[Problem] = field(default_factory=list)

    @property
    def config(self) -> Settings:
        return nested(self.settings)

    def put(self, name: str, value: Any) -> None:
        self.settings[name] = value

    def refuse(self, key: str, value: Any, reason: str, seen: str = "") -> None:
        found = {"field": key, "value": str(value)[:80], "reason": reason, "seen": seen}
        self.refused.append(Problem.error(Code.FOREIGN_UNSUPPORTED, **found))


def translated(values: Settings, source: str, folder: Path) -> Translation:
    """Translate a config of `source` (see `SOURCES`) that is in `folder`.

    Raises:
        FineTuneError: `source` is unknown.
    """
    if source not in SOURCES:
        raise FineTuneError.of(
            Code.VALUE_INVALID, field="--from", value=repr(source), expected="one_of", known=list(SOURCES)
        )
    found = Translation()
    for name, value in _DEFAULTS[source].items():
        found.put(name, value)
    for key, value in values.items():
        if value is not None and not (key in _OFF and value in _OFF[key]):
            _one(found, key, value, values, folder)
    if source == "llamafactory" and "lora_alpha" not in values:
        found.put("lora.lora_alpha", 2 * int(str(found.settings["lora.r"])))
    if source == "axolotl" and not values.get("adapter"):
        found.put("tuning", "full")
    return found


def looks_like(values: Settings) -> str | None:
    """Guess the source of a config by the keys that only this source uses."""
    marks = {
        "llamafactory": {"model_name_or_path", "finetuning_type", "cutoff_len", "stage", "lora_rank", "lora_target"},
        "axolotl": {"base_model", "sequence_len", "micro_batch_size", "num_epochs", "val_set_size", "lora_target_linear"},
    }  # fmt: skip
    return next((source for source, keys in marks.items() if len(keys & values.keys()) > 1), None)


_OFF: dict[str, tuple[Any, ...]] = {
    "train_on_inputs": (False,), "train_on_prompt": (False,), "mask_history": (False,), "trust_remote_code": (False,), "special_tokens": ({},),
    "rl": (False, ""), "chat_template": ("tokenizer_default",), "resume_from_checkpoint": (False, ""), "lora_modules_to_save": ([],),
    "auto_resume_from_checkpoints": (False,), "early_stopping_patience": (0,), "neftune_noise_alpha": (0,), "pissa_init": (False,), "lora_model_dir": ("",), "enable_thinking": (True,), "tokens": ([],),
}  # fmt: skip
"""Settings that have no effect with these values."""


def _one(found: Translation, key: str, value: Any, values: Settings, folder: Path) -> None:
    if key in _SPECIAL:
        _SPECIAL[key](found, value, values, folder)
    elif key in _BY_ITSELF or key.startswith(("wandb_", "mlflow_", "comet_", "swanlab_", "gc_", "ray_", "use_swanlab")):
        return
    elif key in _WITHOUT:
        found.left[key] = _WITHOUT[key]
    elif ours := FOREIGN_NAMES.get(key) or (key if key in _OURS else ""):
        found.put(ours, value)
    else:
        found.left[key] = "there is no equivalent setting"


def _tuning(found: Translation, value: Any, *_: Any) -> None:
    if value == "full":
        found.put("tuning", "full")
    elif value not in ("lora", "qlora"):
        found.refuse("adapter / finetuning_type", value, "only_lora")


_OF_PREFERENCES = {"pref_loss", "pref_beta", "kto_chosen_weight", "kto_rejected_weight", "rl_beta", "orpo_alpha", "kto_desirable_weight", "kto_undesirable_weight"}  # fmt: skip
"""Settings that `_stage` and `_rl` read."""


def _stage(found: Translation, value: Any, values: Settings, *_: Any) -> None:
    """LLaMA-Factory's stages; ORPO is a loss of its stage dpo."""
    if value == "dpo":
        _preference(found, str(values.get("pref_loss", "sigmoid")), values.get("pref_beta"))
    elif value == "kto":
        _preference(found, "kto", values.get("pref_beta"))
        for weight, ours in (("kto_chosen_weight", "desirable_weight"), ("kto_rejected_weight", "undesirable_weight")):
            if weight in values:
                found.put(f"kto.{ours}", values[weight])
    elif value in ("pt", "rm"):
        found.put("method", "pretrain") if value == "pt" else _reward_model(found, True)
    elif value != "sft":
        found.refuse("stage", value, "only_known_stages")


def _rl(found: Translation, value: Any, values: Settings, *_: Any) -> None:
    """axolotl's preference methods; ipo is a loss of DPO."""
    if value in ("dpo", "ipo", "orpo", "kto"):
        _preference(found, "sigmoid" if value == "dpo" else str(value), values.get("rl_beta", values.get("orpo_alpha")))
        weights = (name for name in ("desirable_weight", "undesirable_weight") if f"kto_{name}" in values)
        found.settings |= {f"kto.{name}": values[f"kto_{name}"] for name in weights}
    else:
        found.refuse("rl", value, "only_known_stages")


def _preference(found: Translation, loss: str, beta: Any) -> None:
    method = loss if loss in ("orpo", "kto") else "dpo"
    found.put("method", method)
    if method == "dpo" and loss != "sigmoid":
        found.put("dpo.loss_type", loss)
    if beta is not None:
        found.put(f"{method}.beta", beta)


def _all_turns(found: Translation, value: Any, *_: Any) -> None:
    found.put("assistant_only_loss", not value)


def _targets(found: Translation, value: Any, *_: Any) -> None:
    names = value if isinstance(value, list) else [name.strip() for name in str(value).split(",") if name.strip()]
    found.put("lora.target_modules", "all-linear" if names in (["all"], ["all-linear"]) else names)


def _reward_model(found: Translation, value: Any, *_: Any) -> None:
    if value:
        found.settings |= {"method": "reward", "long_rows": "drop"}


def _saved_layers(found: Translation, value: Any, *_: Any) -> None:
    names = value if isinstance(value, list) else str(value).split(",")
    found.put("lora.modules_to_save", [str(name).strip() for name in names if str(name).strip()])


def _all_linear(found: Translation, value: Any, *_: Any) -> None:
    if value:
        found.put("lora.target_modules", "all-linear")


def _bits(found: Translation, value: Any, values: Settings, *_: Any) -> None:
    way = values.get("quantization_method", values.get("quant_method", "bnb"))
    if way not in ("bnb", "bitsandbytes") or str(value) not in ("4", "8"):
        return found.refuse("quantization_bit", value, "only_bitsandbytes")
    return found.put(f"load_in_{value}bit", True)


def _share(found: Translation, value: Any, *_: Any) -> None:
    if isinstance(value, int | float) and value < 1:
        return found.put("validation_split", value)
    found.left["val_size"] = "only a fraction of the rows can be held out, not a number of rows: use a value below 1"
    return None


def _optimizer(found: Translation, value: Any, *_: Any) -> None:
    name = _OPTIMIZERS.get(str(value), str(value))
    known = FineTuneConfig.model_fields["optim"].annotation.__args__  # type: ignore[union-attr]
    if name in known:
        return found.put("optim", name)
    found.left["optimizer"] = f"{name} is not supported; adamw_torch_fused is used"
    return None


def _per_epoch(name: str) -> Callable[..., None]:
    def put(found: Translation, value: Any, values: Settings, *_: Any) -> None:
        epochs = float(str(values.get("num_epochs") or 1))
        found.put(name, 1 / (float(value) * epochs) if float(value) * epochs > 1 else 0.5)

    return put


def _eval_strategy(found: Translation, value: Any, *_: Any) -> None:
    if value == "no":
        found.put("eval_steps", 0)


def _packing(found: Translation, value: Any, *_: Any) -> None:
    found.put("packing", bool(value))


def _checkpointing(found: Translation, value: Any, *_: Any) -> None:
    found.put("gradient_checkpointing", bool(value))


def _fp16(found: Translation, value: Any, *_: Any) -> None:
    found.put("fp16", value is True)  # "auto" prefers bf16


def _kept(found: Translation, value: Any, *_: Any) -> None:
    found.put("save_total_limit", max(int(value), 2))  # the newest, plus the previous one while the newest is written


def _bf16(found: Translation, value: Any, *_: Any) -> None:
    found.put("bf16", value if value in (True, False, "auto") else "auto")


def _factory_data(found: Translation, value: Any, values: Settings, folder: Path) -> None:
    """Resolve names through `dataset_info.json` in `dataset_dir`; a name that is a file means that file."""
    names = value if isinstance(value, list) else [name.strip() for name in str(value).split(",") if name.strip()]
    place = Path(str(values.get("dataset_dir") or "data"))
    place = place if place.is_absolute() or place.is_dir() else folder / place
    described: Any = {}
    if (place / "dataset_info.json").is_file():
        described = json.loads((place / "dataset_info.json").read_text(encoding="utf-8"))
    datasets: list[str] = []
    columns: dict[str, str] = {}
    for name in map(str, names):
        entry = described.get(name) if isinstance(described, dict) else None
        if isinstance(entry, dict):
            datasets.append(_entry_place(entry, place))
            columns |= _entry_columns(found, entry, str(values.get("stage")))
        elif Path(name).is_file() or (folder / name).is_file() or name.startswith("hub:"):
            datasets.append(name)
        else:
            found.refuse("dataset", name, "no_file_nor_described", str(place / "dataset_info.json"))
    found.put("dataset", datasets)
    if columns:
        found.put("columns", columns)


def _entry_place(entry: Settings, place: Path) -> str:
    if entry.get("file_name"):
        return str(place / str(entry["file_name"]))
    return _hub(entry.get("hf_hub_url"), entry.get("subset"), entry.get("split"))


def _hub(name: Any, config: Any = None, split: Any = None) -> str:
    parts = [str(part) for part in (name, config or ("" if split else None), split) if part is not None]
    return "hub:" + ":".join(parts)


_FACTORY_COLUMNS = {
    "prompt": "prompt", "query": "input", "response": "completion", "system": "system", "history": "history", "messages": "messages",
    "tools": "tools", "chosen": "chosen", "rejected": "rejected",
}  # fmt: skip
_FACTORY_TAGS = {
    "role_tag": {"role", "from"}, "content_tag": {"content", "value"}, "user_tag": {"human", "user"}, "system_tag": {"system"},
    "assistant_tag": {"gpt", "assistant"}, "observation_tag": {"observation", "tool", "function_response"}, "function_tag": {"function_call", "tool_call"},
}  # fmt: skip
"""The keys of `tags` for turns, and their supported values."""


def _entry_columns(found: Translation, entry: Settings, stage: str) -> dict[str, str]:
    """Translate LLaMA-Factory's column names; its defaults are detected automatically."""
    if entry.get("num_samples") is not None:
        found.left["dataset_info.num_samples"] = "all rows are used"
    tags = entry.get("tags")
    for tag, name in tags.items() if isinstance(tags, dict) else ():
        if str(name) not in _FACTORY_TAGS.get(tag, ()):
            ours = ", ".join(sorted(_FACTORY_TAGS.get(tag, ()))) or "-"
            found.refuse(f"dataset_info.tags.{tag}", name, "other_tags", ours)
    named = entry.get("columns")
    if stage == "pt" and entry.get("formatting") != "sharegpt":  # pre-training reads only the prompt column
        return {"text": str(named.get("prompt", "instruction")) if isinstance(named, dict) else "instruction"}
    known = named.items() if isinstance(named, dict) else ()
    return {_FACTORY_COLUMNS[use]: str(column) for use, column in known if use in _FACTORY_COLUMNS and column}


def _axolotl_data(found: Translation, value: Any, _values: Settings, folder: Path) -> None:
    datasets: list[str] = []
    columns: dict[str, str] = {}
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, dict) or not entry.get("path"):
            found.refuse("datasets", entry, "needs_path")
            continue
        datasets += _axolotl_places(entry, folder)
        columns |= _axolotl_columns(found, entry)
    found.put("dataset", datasets)
    if columns:
        found.put("columns", columns)


def _axolotl_places(entry: Settings, folder: Path) -> list[str]:
    path, files = str(entry["path"]), entry.get("data_files")
    if files:
        return [str(file) for file in (files if isinstance(files, list) else [files])]
    if (
        Path(path).exists()
        or (folder / path).exists()
        or path.startswith(("/", "~", "."))
        or path.lower().endswith(SUFFIXES)
    ):
        return [path]
    return [_hub(path, entry.get("name"), entry.get("split"))]


_AXOLOTL_COLUMNS = {
    "field_messages": "messages", "field": "text", "field_instruction": "prompt", "field_input": "input", "field_output": "completion",
    "field_system": "system", "field_tools": "tools",
}  # fmt: skip


_AXOLOTL_IGNORED = ("roles_to_train", "train_on_eos", "train_on_eot", "message_field_training", "shards", "message_property_mappings", "roles")  # fmt: skip


def _axolotl_columns(found: Translation, entry: Settings) -> dict[str, str]:
    kind = entry.get("type")
    reported = {**entry, **kind} if isinstance(kind, dict) else entry
    if isinstance(kind, dict) and kind.get("format"):
        found.left["datasets.type.format"] = "the model's own chat template is used"
    why = "all answers are trained on, including their end-of-turn token; common role and key names are recognized"
    found.left |= {f"datasets.{key}": why for key in _AXOLOTL_IGNORED if entry.get(key) is not None}
    return {ours: str(reported[key]) for key, ours in _AXOLOTL_COLUMNS.items() if reported.get(key)}


def _axolotl_validation(found: Translation, value: Any, _values: Settings, folder: Path) -> None:
    entries = [
        entry
        for entry in (value if isinstance(value, list) else [value])
        if isinstance(entry, dict) and entry.get("path")
    ]
    places = [place for entry in entries for place in _axolotl_places(entry, folder)]
    if len(places) == 1:
        return found.put("validation_dataset", places[0])
    found.left["test_datasets"] = "only one validation file is supported"
    return None


_SPECIAL: dict[str, Callable[..., None]] = {
    "adapter": _tuning, "finetuning_type": _tuning, "stage": _stage, "rl": _rl, **dict.fromkeys(_OF_PREFERENCES, lambda *_: None), "train_on_inputs": _all_turns,
    "train_on_prompt": _all_turns, "lora_target": _targets, "lora_target_modules": _targets, "lora_target_linear": _all_linear,
    "quantization_bit": _bits, "val_size": _share, "val_set_size": _share, "optimizer": _optimizer, "optim": _optimizer,
    "evals_per_epoch": _per_epoch("eval_steps"), "saves_per_epoch": _per_epoch("save_steps"), "eval_strategy": _eval_strategy,
    "evaluation_strategy": _eval_strategy, "packing": _packing, "neat_packing": _packing, "sample_packing": _packing,
    "disable_gradient_checkpointing": lambda found, value, *_: _checkpointing(found, not value), "gradient_checkpointing": _checkpointing, "bf16": _bf16, "pure_bf16": _bf16, "fp16": _fp16, "save_total_limit": _kept,
    "dataset": _factory_data, "datasets": _axolotl_data, "test_datasets": _axolotl_validation,
    "peft_use_dora": lambda found, value, *_: found.put("lora.use_dora", bool(value)),
    "reward_model": _reward_model, "center_rewards_coefficient": lambda found, value, *_: found.put("reward.center_rewards_coefficient", value),
    "lora_modules_to_save": _saved_layers, "additional_target": _saved_layers,
    "pissa_init": lambda found, value, *_: found.put("lora.init_lora_weights", "pissa" if value else "default"),
    "peft_use_rslora": lambda found, value, *_: found.put("lora.use_rslora", bool(value)),
    "eval_dataset": lambda found, value, *_: found.put("validation_dataset", str(value)),
}  # fmt: skip
