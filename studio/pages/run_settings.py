"""The settings of a run for its page: the ones that matter most, what differs from the preset, and all of them."""

from __future__ import annotations

from pydantic import BaseModel

from interfaces.config import UNKNOWN_DATA, FineTuneConfig
from interfaces.dotted_names import flat
from interfaces.folders import RunFolder
from interfaces.presets import PRESETS, PresetConfigs
from interfaces.run_config import read_run_config, to_yaml
from studio.datasets.library import dataset_name
from studio.pages.review import changed_from
from studio.sizing.calibration import estimate_of_run
from studio.sizing.devices import detect_devices, usable_device

IN_THE_HEADER = ("method", "tuning", "learning_rate", "lora.r", "num_train_epochs", "max_length")
KNOWN_OF_IMPORTED = ("lora.r", "lora.lora_alpha", "lora.use_rslora", "lora.use_dora", "lora.target_modules")
"""What an adapter from elsewhere says of its training."""


class Difference(BaseModel):
    """A setting that is not the preset's."""

    name: str
    value: object
    preset: object


class RunSettings(BaseModel):
    """`preset` is the one for the device of the run, with which the settings are compared.

    What an imported adapter was trained on isn't known, so its run can't be repeated.
    """

    model: str
    dataset: str
    imported: bool
    header: dict[str, object]
    preset: str
    differences: list[Difference]
    yaml: str


def settings_of(folder: RunFolder) -> RunSettings:
    """Return the settings of a run.

    Raises:
        FineTuneError: its config can't be read.
    """
    config = read_run_config(folder)
    whole = flat(FineTuneConfig.model_validate(config).model_dump())
    estimated = estimate_of_run(folder)
    device = estimated.device.device() if estimated else usable_device(detect_devices())
    preset = PresetConfigs.name_for_device(device)
    theirs = changed_from(PRESETS[preset](), FineTuneConfig.model_validate(config).model_dump())
    imported = whole["dataset"] == UNKNOWN_DATA
    known = KNOWN_OF_IMPORTED if imported else tuple(whole)
    of_the_other = "lora.r" if whole["tuning"] == "full" else "tuning"
    return RunSettings(
        imported=imported,
        model=str(whole["model_name"]), dataset="" if imported else dataset_name(folder.home, str(whole["dataset"])),
        header={name: whole[name] for name in IN_THE_HEADER if name in known and name != of_the_other}, preset=preset,
        yaml=to_yaml({name: config[name] for name in ("model_name", "lora")} if imported else config),
        differences=[Difference(name=name, value=whole[name], preset=value) for name, value in theirs.items() if name in known],
    )  # fmt: skip
