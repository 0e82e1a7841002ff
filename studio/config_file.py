"""Merges a YAML file, `--set`, and a preset into one config."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from interfaces.config import STARTER, mixed
from interfaces.device import Device
from interfaces.dotted_names import NESTED
from interfaces.errors import FineTuneError
from interfaces.presets import PRESETS, PresetConfigs
from interfaces.problems import Code
from interfaces.run_config import Settings


class _NoKeyTwice(yaml.SafeLoader):
    """A safe YAML loader that rejects duplicate keys, of which the stock loader silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in lines:
                twice = f"'{key}' appears twice (first on line {lines[key]})"
                raise yaml.constructor.ConstructorError(None, None, twice, key_node.start_mark)
            lines[key if isinstance(key, str) else id(key_node)] = key_node.start_mark.line + 1
        return dict(super().construct_mapping(node, deep))


def _whole_number(loader: _NoKeyTwice, node: yaml.ScalarNode) -> int:
    """Read an integer as in YAML 1.1, but reject a leading 0, which would silently make it octal."""
    text = str(node.value)
    if text.lstrip("+-").startswith("0") and text.lstrip("+-0_").isdigit() and set(text) <= set("+-01234567_"):
        reported = f"'{text}' would be read as an octal number: remove the leading 0"
        raise yaml.constructor.ConstructorError(None, None, reported, node.start_mark)
    return int(loader.construct_yaml_int(node))


_NoKeyTwice.add_constructor("tag:yaml.org,2002:int", _whole_number)


def read_config_file(path: Path) -> Settings:
    """Read the settings of a YAML (or JSON) file without validating them.

    Raises:
        FineTuneError: the file is missing, empty, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FineTuneError.of(Code.FILE_MISSING, path=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no_utf8_text"
        raise FineTuneError.of(Code.CONFIG_UNREADABLE, path=str(path), reason=reason) from None
    return parse_config(text, str(path))


def parse_config(text: str, path: str) -> Settings:
    """Parse the settings of a YAML text without validating them. `path` names it in errors.

    Raises:
        FineTuneError: the text is empty, invalid, or not a mapping.
    """
    try:
        values = yaml.load(text, _NoKeyTwice)  # noqa: S506  a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        reason = f"{where}{getattr(error, 'problem', None) or error}"
        raise FineTuneError.of(Code.CONFIG_UNREADABLE, path=path, reason=reason) from None
    if values is None:
        raise FineTuneError.of(Code.FILE_EMPTY, path=path)
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise FineTuneError.of(Code.CONFIG_UNREADABLE, path=path, reason="no_key_values")
    return values


def line_of(text: str, field: str) -> int | None:
    """Return the line, from 1, of a setting by its dotted name in a YAML text, or None if it isn't there."""
    group, _, name = field.rpartition(".")
    start = (line_of(text, group) or 0) if group else 0
    for number, line in enumerate(text.splitlines()[start:], start=start + 1):
        if re.match(rf"{r'[ ]+' if group else ''}['\"]?{re.escape(name)}['\"]?\s*:", line) or (
            group and re.search(rf"[{{,]\s*{re.escape(name)}\s*:", line)
        ):
            return number
    return start or None


def apply_settings(values: Settings, settings: list[str]) -> Settings:
    """Apply each `key=value` of the command line to `values`; `lora.r=8` sets a nested key.

    Raises:
        FineTuneError: a setting has no '='.
    """
    merged = {**values}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise FineTuneError.of(Code.SETTING_MALFORMED, value=setting)
        try:
            value = yaml.safe_load(text) if text else ""
        except (yaml.YAMLError, ValueError, RecursionError):
            value = text
        group, dot, name = key.strip().partition(".")
        if dot:
            inner = merged.get(group)
            merged[group] = {**(inner if isinstance(inner, dict) else {}), name: value}
        else:
            merged[group] = value
    return merged


def with_preset(values: Settings, device: Device, preset: str | None) -> tuple[Settings, str]:
    """Fill in settings that `values` omits, from the named preset or the one for `device`.

    Return the full config as a dict, not validated, and the preset's name.

    Raises:
        FineTuneError: there is no such preset.
    """
    name = preset or PresetConfigs.name_for_device(device)
    if name not in PRESETS:
        raise FineTuneError.of(Code.PRESET_UNKNOWN, value=name, known=sorted(PRESETS))
    base = PRESETS[name]()
    defaults = base.model_dump(exclude_defaults=True)
    merged = {**defaults, "model_name": base.model_name, **values}
    for group in NESTED:
        given = values.get(group)
        if isinstance(given, dict):
            merged[group] = {**defaults.get(group, {}), **given}
    return merged, name


def resolved_paths(values: Settings, folder: Path) -> Settings:
    """Resolve relative dataset and model paths against the current directory, else against the config file's folder."""
    found = dict(values)
    for key in ("dataset", "validation_dataset", "model_name", "adapter_name_or_path"):
        value = mixed(values.get(key)) if key == "dataset" else values.get(key)
        if isinstance(value, str) and value not in ("", STARTER):
            found[key] = _resolved(value, folder, of_folder=key in ("model_name", "adapter_name_or_path"))
        elif isinstance(value, dict):
            found[key] = {_resolved(str(part), folder, of_folder=False): weight for part, weight in value.items()}
    return found


def _resolved(value: str, folder: Path, of_folder: bool) -> str:
    for place in (_expanded(value), folder / value):
        # A model's name may also be a Hub id, and an adapter's name a run id; a folder of that name takes precedence.
        if place.is_dir() if of_folder else place.is_file():
            return str(place.absolute())
    return value


def _expanded(path: str) -> Path:
    """Expand `~`. If no such user exists, treat it as an ordinary name."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
