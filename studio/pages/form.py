"""The settings form, derived from `FineTuneConfig`: the widget type and the label of each setting. No gradio."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from interfaces.config import FineTuneConfig, fields
from interfaces.dotted_names import flat, nested
from interfaces.method_settings import METHODS
from interfaces.run_config import Settings
from interfaces.texts import texts

Kind = Literal["number", "whole", "choice", "switch", "text", "lines"]
GROUPS = ("method", "training", "lora", "data", "model", "memory", "saving")
"""The groups of settings, in the order in which they are shown."""
HIDDEN = {"schema_version", "output_dir", "model_name", "dataset", "columns"}
"""Settings that another part of the page, or the manager, fills in."""


@dataclass(frozen=True)
class Control:
    """One setting in the form."""

    name: str
    kind: Kind
    group: str
    basic: bool
    default: Any
    label: str
    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


def _asks_nothing(config: Settings) -> bool:
    """Return whether no prompt is answered during a run."""
    method = METHODS.get(str(config.get("method")))
    return not config.get("sample_prompts") or (method is not None and not method.generates)


NO_EFFECT: dict[str, Callable[[Settings], bool]] = {
    "sample_prompts": lambda config: bool(config.get("sample_prompts")) and _asks_nothing(config),
    "sample_while_training": _asks_nothing,
    "sample_max_new_tokens": _asks_nothing,
    "validation_split": lambda config: bool(config.get("validation_dataset")),
    "eval_steps": lambda config: not config.get("validation_dataset") and config.get("validation_split") == 0,
    "num_train_epochs": lambda config: isinstance(steps := config.get("max_steps"), int) and steps > 0,
    "packing": lambda config: config.get("method") == "pretrain",
    "max_tokens_per_batch": lambda config: not config.get("packing") and config.get("method") != "pretrain",
    "per_device_train_batch_size": lambda config: bool(
        (config.get("packing") or config.get("method") == "pretrain") and config.get("max_tokens_per_batch")
    ),
    "assistant_only_loss": lambda config: config.get("method") != "sft",
    "warmup_steps": lambda config: config.get("lr_scheduler_type") == "constant",
}
"""When a setting has no effect, because of another one. The form says so at the field."""


def without_effect(config: Settings) -> list[str]:
    """Return the settings of a form that have no effect with its other settings."""
    return [name for name, is_idle in NO_EFFECT.items() if is_idle(config)]


def unused_parts(config: Settings) -> set[str]:
    """Return the settings, or groups of settings, that belong to another method or another kind of tuning."""
    return set(METHODS) - {config.get("method")} | {"lora" if config.get("tuning") == "full" else "master_weights"}


def unused(config: Settings) -> list[str]:
    """Return the same as dotted names, of all settings of the form."""
    parts = unused_parts(config)
    if config.get("tuning") == "full":  # what it refuses is hidden, unless it is there to be refused
        parts |= {
            name for name in ("adapter_name_or_path", "load_in_8bit", "load_in_4bit", "fp16") if not config.get(name)
        }
    return [name for name, _ in fields() if name.partition(".")[0] in parts]


def controls(language: str) -> list[Control]:
    """Every setting of the form, in the order of the config."""
    return [_control(name, field, language) for name, field in fields() if name not in HIDDEN]


def _control(name: str, field: FieldInfo, language: str) -> Control:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    words, unit = field.description or "", str(extra.get("unit", ""))
    if language != "en":
        words, unit = texts("help", language)[name], texts("unit", language)[unit] if unit else ""
    bounds = {type(mark): mark for mark in field.metadata}
    least = next((float(getattr(bounds[kind], key)) for kind, key in ((Ge, "ge"), (Gt, "gt")) if kind in bounds), None)
    most = next((float(getattr(bounds[kind], key)) for kind, key in ((Le, "le"), (Lt, "lt")) if kind in bounds), None)
    kind, choices = _kind(field)
    return Control(
        name=name,
        kind=kind,
        group=str(extra["group"]),
        basic=bool(extra.get("basic")),
        default=field.get_default(call_default_factory=True),
        label=texts("label", language)[name],
        help=" ".join(part for part in (words, f"[{unit}]" if unit else "", _range(least, most), f"· {name}") if part),
        choices=choices,
        least=least,
        most=most,
    )


def step_of(control: Control) -> float:
    """Return by how much the arrow keys change a number: by its leading digit's place, such as 1e-4 for 2e-4."""
    if control.kind == "whole":
        return 1
    default = abs(float(control.default))
    return float(f"1e{math.floor(math.log10(default))}") if default else 0.01


def _range(least: float | None, most: float | None) -> str:
    if least is None or most is None or most > 1e6:
        return ""
    return f"{least:g} - {most:g}"


def _kind(field: FieldInfo) -> tuple[Kind, tuple[str, ...]]:
    annotation = field.annotation
    if annotation is bool:
        return "switch", ()
    if annotation is int:
        return "whole", ()
    if annotation is float:
        return "number", ()
    if annotation == list[str]:
        return "lines", ()
    members = get_args(annotation)
    if bool in members:  # true, false or auto
        return "choice", ("auto", "true", "false")
    if members and all(isinstance(member, str) for member in members):
        return "choice", tuple(str(member) for member in members)
    return "text", ()


def to_widget(control: Control, value: Any) -> Any:
    """Convert a setting's value to its widget's value."""
    if control.kind == "lines":
        return "\n".join(value)
    if control.kind == "choice":
        return str(value).lower() if isinstance(value, bool) else value
    if isinstance(value, dict):
        return ", ".join(f"{name}: {one:g}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def from_widgets(values: Settings, language: str = "en") -> Settings:
    """Convert widget values to the dict of a config, not validated. A setting that is absent gets its default."""
    config: Settings = {}
    for control in controls(language):
        value = values.get(control.name, control.default)
        if value in (None, "") and control.kind in ("number", "whole"):
            value = None  # an emptied number is an error: no default takes its place unseen
        elif value is None or (value == "" and control.kind != "text"):
            value = control.default
        elif control.kind == "lines" and isinstance(value, str):
            value = [line.strip() for line in value.splitlines() if line.strip()]
        elif value == "" and isinstance(control.default, list | dict):
            value = type(control.default)()
        elif control.kind == "choice" and value in ("true", "false"):
            value = value == "true"
        config[control.name] = value
    return nested(config)


def widget_values(config: FineTuneConfig, language: str = "en") -> Settings:
    """Convert a config to widget values by the settings' dotted names."""
    values = flat(config.model_dump())
    return {control.name: to_widget(control, values[control.name]) for control in controls(language)}
