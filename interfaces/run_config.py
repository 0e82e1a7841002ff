"""The settings of a run in its folder: `config.yaml`, written once and read only here."""

from __future__ import annotations

from functools import lru_cache

import yaml

from interfaces.errors import FineTuneError
from interfaces.files import write_text
from interfaces.folders import RunFolder
from interfaces.method_settings import METHODS
from interfaces.problems import Code

Settings = dict[str, object]
"""Settings by their names, as a person or a program gave them: unchecked, until `FineTuneConfig` has read them."""


def to_yaml(settings: Settings) -> str:
    """Return settings as the YAML of a config file."""
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)


def write_run_config(folder: RunFolder, settings: Settings) -> None:
    """Write the settings atomically. A folder without this file is not a run yet."""
    write_text(folder.config, to_yaml(settings))


def read_run_config(folder: RunFolder) -> Settings:
    """Read the settings without validating them.

    Raises:
        FineTuneError: the file can't be read or is damaged.
    """
    reason = "no_key_values"
    try:
        stored = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        stored, reason = None, str(error).splitlines()[0]
    if not isinstance(stored, dict):
        raise FineTuneError.of(Code.CONFIG_UNREADABLE, path=str(folder.config), reason=reason)
    return stored


def generates(folder: RunFolder) -> bool:
    """Return whether a run's result answers prompts, as far as its settings say. A reward model scores answers instead."""
    method = METHODS.get(_method(folder, folder.config.stat().st_mtime_ns if folder.config.is_file() else 0))
    return method is None or method.generates


@lru_cache(maxsize=256)
def _method(folder: RunFolder, _changed: int) -> str:
    """Return a run's method, for pages that ask again and again; empty if the settings can't be read."""
    try:
        return str(read_run_config(folder).get("method", ""))
    except FineTuneError:
        return ""


def require_answers(folder: RunFolder) -> None:
    """
    Raises:
        FineTuneError: a run's result doesn't answer prompts.
    """
    if not generates(folder):
        raise FineTuneError.of(Code.SCORES_ONLY, run=folder.id)
