"""The contract between the studio and the trainer: standard library, pydantic, Babel and PyYAML only.

In the order data meets them: folders (where things are), files (records that are whole or not there), config (the
settings), presets (settings for a machine), run_config (a run's own settings), dataset_records (what is known of a
dataset and its rows), example (what is trained on), finetune (what a trainer promises), events (what a run logs),
history (all that derives from a log), problems (what can go wrong) and texts (how that, and every page, reads).

The names below are loaded on first use, so that a process which needs only `interfaces.folders`
(the supervisor) stays on the standard library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interfaces.config import FineTuneConfig, LoraSettings, config_problems
    from interfaces.device import Device
    from interfaces.errors import FineTuneError
    from interfaces.example import Example, Message
    from interfaces.finetune import IFineTuneService, TrainingResult
    from interfaces.folders import DatasetFolder, Home, RunFolder
    from interfaces.presets import PresetConfigs
    from interfaces.problems import Code, Problem

_HOME_OF = {
    "Code": "problems",
    "DatasetFolder": "folders",
    "Device": "device",
    "Example": "example",
    "FineTuneConfig": "config",
    "FineTuneError": "errors",
    "Home": "folders",
    "IFineTuneService": "finetune",
    "LoraSettings": "config",
    "Message": "example",
    "PresetConfigs": "presets",
    "Problem": "problems",
    "RunFolder": "folders",
    "TrainingResult": "finetune",
    "config_problems": "config",
}
__all__ = [
    "Code",
    "DatasetFolder",
    "Device",
    "Example",
    "FineTuneConfig",
    "FineTuneError",
    "Home",
    "IFineTuneService",
    "LoraSettings",
    "Message",
    "PresetConfigs",
    "Problem",
    "RunFolder",
    "TrainingResult",
    "config_problems",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'interfaces' has no attribute {name!r}")
    return getattr(import_module(f"interfaces.{_HOME_OF[name]}"), name)
