"""Settings by their dotted names, such as `lora.r` for the setting `r` of the group `lora`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from interfaces.config import FineTuneConfig
from interfaces.problems import Changes
from interfaces.run_config import Settings

NESTED = tuple(
    name
    for name, field in FineTuneConfig.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
)
"""The settings that are groups of others, such as `lora`."""


def flat(config: Settings) -> Settings:
    """Return a config by the settings' dotted names, such as `lora.r`."""
    found = {name: value for name, value in config.items() if name not in NESTED}
    for group in NESTED:
        inner = config.get(group)
        found |= {f"{group}.{name}": value for name, value in inner.items()} if isinstance(inner, dict) else {}
    return found


def nested(settings: Mapping[str, object]) -> Settings:
    """Return settings that are named by their dotted names as a config has them."""
    config: Settings = {}
    groups: dict[str, Settings] = {}
    for name, value in settings.items():
        group, dot, inner = name.partition(".")
        if dot:
            groups.setdefault(group, {})[inner] = value
        else:
            config[name] = value
    return {**config, **groups}


def with_changes(config: FineTuneConfig, changes: Changes) -> FineTuneConfig:
    """Return a copy with some settings changed, by their dotted names."""
    update = nested(changes)
    for group in NESTED:
        if isinstance(inner := update.get(group), dict):
            update[group] = getattr(config, group).model_copy(update=inner)
    return config.model_copy(update=update)
