"""The contract between the studio and the trainer: standard library, pydantic, Babel and PyYAML only.

The modules, in the order in which data passes through them: folders (paths), files (atomic records), config
(settings), presets (settings for a kind of machine), run_config (the settings of one run), dataset_records (metadata
of a dataset and its rows), example (one training example), row_lengths (how many tokens rows have), trainer_jobs (the
messages of short-lived children), finetune (the interface of a trainer), run_control (who executes a run, and how it
ended), run_records (where a run comes from), events (what a run logs), history (everything derived from that log),
problems (errors and warnings), and texts (their sentences in each language, and every text of the pages).

The names below are loaded on first use, so that a process that needs
only `interfaces.folders` (the supervisor) imports nothing but the standard library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interfaces.config import FineTuneConfig
    from interfaces.device import Device
    from interfaces.errors import FineTuneError
    from interfaces.example import Example, Message
    from interfaces.finetune import IFineTuneService, TrainingResult
    from interfaces.folders import DatasetFolder, Home, RunFolder
    from interfaces.lora_settings import LoraSettings
    from interfaces.presets import PresetConfigs
    from interfaces.problems import Code, Problem
    from interfaces.validation import config_problems

_HOME_OF = {
    "Code": "problems",
    "DatasetFolder": "folders",
    "Device": "device",
    "Example": "example",
    "FineTuneConfig": "config",
    "FineTuneError": "errors",
    "Home": "folders",
    "IFineTuneService": "finetune",
    "LoraSettings": "lora_settings",
    "Message": "example",
    "PresetConfigs": "presets",
    "Problem": "problems",
    "RunFolder": "folders",
    "TrainingResult": "finetune",
    "config_problems": "validation",
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
