"""Every setting of a run, with its default, bounds, unit and one sentence of help.

Nothing else holds a default. The form, the command line, the YAML file, the table in the docs and
the run's record are all derived from `FineTuneConfig`. Names are transformers' and PEFT's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from interfaces.lora_settings import LoraSettings, setting
from interfaces.method_settings import (
    FULL_RATES,
    METHODS,
    DpoSettings,
    KtoSettings,
    Method,
    MethodSettings,
    OrpoSettings,
    RewardSettings,
    SftSettings,
)

SCHEMA_VERSION = 1
STARTER = "starter"
"""Stands for the small model that the set-up fetches from the package index."""
UNKNOWN_DATA = "(unknown)"
"""The dataset of a run whose adapter was imported."""

DEVICE_PATTERN = r"^(auto|cpu|mps|cuda(:[0-9]{1,2})?)$"


def _part(settings: type[MethodSettings], help: str) -> Any:
    return Field(default_factory=settings, description=help, json_schema_extra={"group": "method"})


class FineTuneConfig(BaseModel):
    """The settings of one run. Fields can be set one by one; each assignment is validated."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False, protected_namespaces=())

    schema_version: int = setting(SCHEMA_VERSION, "Version of the config schema.", "saving", ge=1, le=SCHEMA_VERSION)
    name: str = setting("", "A name for the run; free text.", "saving", max_length=200)

    output_dir: str = setting("", "The run's folder. Filled in when the run is created.", "saving")

    method: Method = setting(
        "sft",
        "How to train: sft learns the answers, pretrain plain text; dpo and orpo learn from a chosen and a rejected answer, kto from good and bad ones; reward trains a model that scores answers.",
        "method",
        basic=True,
    )
    tuning: Literal["lora", "full"] = setting(
        "lora",
        "lora trains a small adapter, full all weights of the model: several times the memory, and a result as large as the model.",
        "method",
        basic=True,
    )

    model_name: str = setting(
        "Qwen/Qwen2.5-Coder-1.5B-Instruct",
        "The base model: a Hub id, a folder, or 'starter' (small, runs on any machine).",
        "model",
        basic=True,
        min_length=1,
    )
    model_revision: str = setting("main", "Branch, tag or commit of the model on the Hub.", "model", min_length=1)
    load_in_8bit: bool = setting(
        False, "Load the base model in 8-bit: about half the memory of 16-bit (bitsandbytes).", "model"
    )
    load_in_4bit: bool = setting(
        False, "Load the base model in 4-bit: about a quarter of the memory of 16-bit (QLoRA).", "model"
    )

    dataset: str | dict[str, float] = setting(
        "",
        "What to train on: a file, a dataset's id, hub:NAME[:CONFIG[:SPLIT]], or several with their weights.",
        "data",
        basic=True,
    )
    columns: dict[str, str] = setting(
        {},
        "Column mapping, if the names are not recognized: {prompt: ask, completion: reply}, messages, or text.",
        "data",
    )
    bad_rows: Literal["stop", "skip"] = setting(
        "stop", "stop: don't start if any row has errors; skip: skip rows with errors or warnings.", "data"
    )
    validation_dataset: str = setting(
        "", "Validate on these rows instead of a split of the dataset: a file or a dataset's id.", "data"
    )
    validation_split: float = setting(
        0.05, "Fraction of the rows held out for validation.", "data", "fraction of rows", ge=0, le=0.5
    )
    max_length: int = setting(
        1024,
        "Maximum tokens per example; longer examples are truncated, dropped or split, and counted.",
        "data",
        "tokens",
        True,
        ge=16,
        le=131072,
    )
    long_rows: Literal["truncate", "drop", "split"] = setting(
        "truncate", "Rows longer than max_length: truncate, drop, or split them between turns.", "data"
    )
    assistant_only_loss: bool = setting(
        True,
        "Train on the assistant's turns only. Off: on all turns of a conversation, with what is between them.",
        "data",
    )
    train_on_reasoning: bool = setting(
        True,
        "Train on the assistant's reasoning (<think> parts, reasoning_content) as well. Off: only on the answers after it.",
        "data",
    )
    evaluation_dataset: str = setting(
        "", "Evaluate the result on these rows after training: a file or a dataset's id.", "data"
    )
    gate: str = setting(
        "",
        "Conditions that the evaluation has to fulfil: exact match >= 0.8, forgetting <= 2.",
        "data",
        max_length=1000,
    )
    sample_prompts: list[str] = setting(
        [],
        "Prompts that the base model and the fine-tuned one answer, to show the difference.",
        "data",
        "prompts",
        max_length=50,
    )
    sample_while_training: bool = setting(
        True, "Also answer the sample prompts at each evaluation, not only after training.", "data"
    )
    sample_max_new_tokens: int = setting(
        64, "Maximum length of an answer to a sample prompt.", "data", "tokens", ge=1, le=4096
    )

    lora: LoraSettings = Field(
        default_factory=LoraSettings, description="The adapter.", json_schema_extra={"group": "lora"}
    )
    adapter_name_or_path: str = setting(
        "", "Start from this adapter instead of a new one: a run's id, or a folder saved by PEFT.", "lora"
    )

    sft: SftSettings = _part(SftSettings, "Supervised fine-tuning.")
    dpo: DpoSettings = _part(DpoSettings, "Direct preference optimization.")
    orpo: OrpoSettings = _part(OrpoSettings, "Odds-ratio preference optimization.")
    kto: KtoSettings = _part(KtoSettings, "Kahneman-Tversky optimization.")
    reward: RewardSettings = _part(RewardSettings, "Reward modeling.")

    num_train_epochs: float = setting(3.0, "Passes over the whole dataset.", "training", "epochs", True, gt=0, le=1000)
    max_steps: int = setting(-1, "Stop after this many steps; -1 uses num_train_epochs.", "training", "steps", ge=-1)
    per_device_train_batch_size: int = setting(
        4,
        "Examples per batch: larger is faster but needs more memory.",
        "training",
        "examples",
        True,
        ge=1,
        le=4096,
    )
    packing: bool = setting(
        False,
        "Fill each batch with whole examples up to max_tokens_per_batch, instead of a fixed number of examples.",
        "training",
    )
    max_tokens_per_batch: int = setting(
        0,
        "Tokens per batch, used with packing only; 0 means per_device_train_batch_size times max_length.",
        "training",
        "tokens",
        ge=0,
        le=1 << 20,
    )
    gradient_accumulation_steps: int = setting(
        4,
        "Batches accumulated per update: a larger effective batch size without the extra memory.",
        "training",
        "batches",
        ge=1,
        le=4096,
    )
    learning_rate: float = setting(
        2e-4, "Step size of each update. Too high diverges; too low learns little.", "training", "", True, gt=0, le=1
    )
    embedding_learning_rate: float = setting(
        0.0,
        "Learning rate of embeddings and head, where they are trained; 0 uses learning_rate. A tenth of it is usual.",
        "training",
        ge=0,
        le=1,
    )
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup", "polynomial", "inverse_sqrt"] = (
        setting("linear", "Learning-rate schedule.", "training")
    )
    warmup_steps: float = setting(
        0.03,
        "Learning-rate warmup steps; a value below 1 is a fraction of all steps (no warmup if that is less than one step).",
        "training",
        "steps or fraction",
        ge=0,
    )
    optim: Literal["adamw_torch_fused", "adamw_torch", "adamw_8bit", "paged_adamw_8bit", "sgd", "adafactor"] = setting(
        "adamw_torch_fused", "The optimizer, by its name in transformers.", "training"
    )
    weight_decay: float = setting(0.0, "Weight decay of the trained weights.", "training", ge=0, le=1)
    max_grad_norm: float = setting(1.0, "Clips the gradient norm; 0 disables clipping.", "training", ge=0)
    neftune_noise_alpha: float = setting(
        0.0, "Noise added to the embeddings (arXiv:2310.05914); 0 disables it, 5 is typical.", "training", ge=0, le=100
    )
    early_stopping_patience: int = setting(
        0,
        "Stop after this many evaluations without an improvement in validation loss; 0 disables it.",
        "training",
        "evaluations",
        ge=0,
    )
    load_best_model_at_end: bool = setting(
        False, "Keep the weights with the best validation loss instead of those from the last step.", "training"
    )
    seed: int = setting(
        42, "The same seed gives the same data order and the same split.", "training", ge=0, le=2**32 - 1
    )

    gradient_checkpointing: bool | Literal["auto"] = setting(
        "auto",
        "Recompute activations instead of storing them: far less memory, about a third slower; auto enables it if the run wouldn't fit in memory otherwise.",
        "memory",
    )
    device: str = setting(
        "auto",
        "Where to train: auto, cpu, mps, or cuda (cuda:1 for the second GPU).",
        "memory",
        pattern=DEVICE_PATTERN,
    )
    bf16: bool | Literal["auto"] = setting(
        "auto", "Use bfloat16 precision; auto uses it if it is faster on the device.", "memory"
    )
    fp16: bool = setting(False, "Use float16 precision, for GPUs without bfloat16 support.", "memory")
    master_weights: bool = setting(
        True,
        "Full fine-tuning in bfloat16: the optimizer updates 32-bit copies of the weights. Off: less memory, but small updates are rounded away.",
        "memory",
    )
    cpu_threads: int = setting(0, "CPU threads to use; 0 means one per core.", "memory", "threads", ge=0, le=1024)

    logging_steps: int = setting(1, "Log every N optimizer steps.", "saving", "steps", ge=1)
    eval_steps: float = setting(
        0.2,
        "Evaluate every N steps; a value below 1 is a fraction of all steps; 0 disables evaluation.",
        "saving",
        "steps or fraction",
        ge=0,
    )
    save_steps: float = setting(
        0.2,
        "Save a checkpoint every N steps; a value below 1 is a fraction of all steps; 0 saves only at the end.",
        "saving",
        "steps or fraction",
        ge=0,
    )
    save_minutes: float = setting(
        10.0, "Save a checkpoint at least every N minutes; 0 disables it.", "saving", "minutes", ge=0
    )
    save_total_limit: int = setting(
        2, "Checkpoints to keep; the best one is kept in addition.", "saving", "checkpoints", ge=2, le=1000
    )

    @field_validator("dataset", "validation_dataset", "evaluation_dataset", "model_name", "adapter_name_or_path")
    @classmethod
    def _no_nul(cls, value: str | dict[str, float]) -> str | dict[str, float]:
        for text in [value] if isinstance(value, str) else value:
            if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
                raise ValueError("plain_text")
        return value

    @field_validator("dataset", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return mixed(value)

    @field_validator("dataset")
    @classmethod
    def _weights(cls, value: str | dict[str, float]) -> str | dict[str, float]:
        if isinstance(value, dict) and not all(0 < weight <= 100 for weight in value.values()):
            raise ValueError("weights_above_0")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation in (int, float):
            raise ValueError("number_no_boolean")
        return value

    @field_validator("max_steps")
    @classmethod
    def _some_steps_or_all(cls, value: int) -> int:
        if value == 0:
            raise ValueError("steps_or_minus_1")
        return value

    @field_validator("warmup_steps", "eval_steps", "save_steps")
    @classmethod
    def _whole_or_share(cls, value: float) -> float:
        if value >= 1 and value != int(value):
            raise ValueError("whole_steps")
        return value


def learning_rates(config: FineTuneConfig) -> tuple[float, float]:
    """Return the lowest and highest usual learning rate of the config's method."""
    least, most = METHODS[config.method].learning_rates
    if config.tuning == "lora":
        return least, most
    return float(f"{least * FULL_RATES[0]:.3g}"), float(f"{most * FULL_RATES[1]:.3g}")


def method_of(config: FineTuneConfig) -> MethodSettings:
    """Return the settings of the config's method, which may have none of its own."""
    found: MethodSettings | None = getattr(config, config.method, None)
    return METHODS[config.method]() if found is None else found


def mixed(dataset: Any) -> Any:
    """Turn a list of datasets into a mix in which each row counts once; return anything else unchanged."""
    if isinstance(dataset, list) and dataset and all(isinstance(one, str) for one in dataset):
        return dataset[0] if len(dataset) == 1 else dict.fromkeys(dataset, 1.0)
    return dataset


def fields(model: type[BaseModel] = FineTuneConfig, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting as (dotted name, field), such as `lora.r`, in declaration order."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def token_budget(config: FineTuneConfig) -> int:
    """Return the most tokens in a packed batch, or 0 if the batch size counts examples. Pre-training always packs."""
    if not config.packing and config.method != "pretrain":
        return 0
    return config.max_tokens_per_batch or config.per_device_train_batch_size * config.max_length
