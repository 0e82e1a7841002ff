"""What a sweep would run: every combination of the values for its settings, with the time that takes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from types import UnionType
from typing import Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from interfaces.config import FineTuneConfig, fields
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.problems import Code, Problem
from interfaces.run_config import Settings
from interfaces.run_records import SweepValue
from interfaces.validation import config_errors
from studio.config_file import apply_settings
from studio.sizing.assess import assess
from studio.sizing.devices import chosen_device, detect_devices

MOST_RUNS = 64
MOST_SETTINGS = 3
Values = dict[str, SweepValue]
"""The values of one run, by the settings' dotted names."""
_SEPARATORS = re.compile(r"[\s,;，；、]+")
_FIXED = {
    "schema_version", "save_total_limit", "logging_steps", "sample_while_training", "sample_max_new_tokens",
    "validation_split", "max_length", "long_rows", "bad_rows", "reward.center_rewards_coefficient",
}  # fmt: skip
"""Settings that change nothing that a sweep compares, those that change which rows and tokens are validated, and a part of the loss."""


class SweepPlan(BaseModel):
    """How many runs a sweep has, how long they take one after the other, in seconds, and how many don't fit in memory.

    `seconds` is None if a run can't be timed yet.
    """

    runs: int
    seconds: tuple[float, float] | None
    too_big: int


def sweepable() -> list[str]:
    """Return the settings that a sweep can vary: numbers, switches, and choices."""
    return [name for name, field in fields() if name not in _FIXED and _is_simple(field.annotation)]


def _is_simple(annotation: object) -> bool:
    if get_origin(annotation) in (UnionType, Union):
        return all(_is_simple(one) for one in get_args(annotation))
    return annotation in (int, float, bool) or get_origin(annotation) is Literal


def configs_of(config: Settings, asked: Mapping[str, str]) -> list[tuple[Values, FineTuneConfig]]:
    """Return each run's values with its config. `asked` has the values of each setting as text, such as '1e-4, 2e-4'.

    Raises:
        FineTuneError: a setting can't be varied, a value is invalid or missing, or there are too many runs or only one.
    """
    wanted = {name: [one for one in _SEPARATORS.split(text) if one] for name, text in asked.items()}
    wanted = {name: values for name, values in wanted.items() if values}
    if not 0 < len(wanted) <= MOST_SETTINGS:
        raise FineTuneError.of(Code.SWEEP_SETTINGS, count=len(wanted), most=MOST_SETTINGS)
    known = sweepable()
    if unknown := [name for name in wanted if name not in known]:
        raise FineTuneError.of(Code.SWEEP_SETTING_UNKNOWN, value=unknown[0][:80])
    count = 1
    for texts in wanted.values():
        count *= len(set(texts))
    if count > MOST_RUNS:
        raise FineTuneError.of(Code.SWEEP_SIZE, count=count, most=MOST_RUNS)
    found: dict[str, tuple[Values, FineTuneConfig]] = {}
    problems: dict[str, Problem] = {}
    for row in itertools.product(*(dict.fromkeys(texts) for texts in wanted.values())):
        one = apply_settings(config, [f"{name}={text}" for name, text in zip(wanted, row, strict=True)])
        if errors := config_errors(one):
            problems |= {problem.model_dump_json(): problem for problem in errors}
            continue
        checked = FineTuneConfig.model_validate(one)
        values: Values = {name: _value(checked, name) for name in wanted}
        found.setdefault(repr(values), (values, checked))  # 0.10 and 0.1 are one value
    if problems:
        raise FineTuneError(*problems.values())
    if len(found) < 2:
        raise FineTuneError.of(Code.SWEEP_SIZE, count=len(found), most=MOST_RUNS)
    return list(found.values())


def _value(config: FineTuneConfig, name: str) -> SweepValue:
    group, dot, inner = name.partition(".")
    value: SweepValue = getattr(getattr(config, group), inner) if dot else getattr(config, group)
    return value


def plan_of(home: Home, config: Settings, asked: Mapping[str, str]) -> SweepPlan:
    """Return what a sweep would run, without starting anything.

    Raises:
        FineTuneError: as `configs_of`.
    """
    points = configs_of(config, asked)
    devices = detect_devices()
    times: list[tuple[float, float] | None] = []
    too_big = 0
    for _, one in points:
        try:
            found = assess(home, one, chosen_device(one.device, devices)).estimate
        except (FineTuneError, ValidationError):  # the model isn't known yet
            times.append(None)
            continue
        too_big += found.fit_level == "too_big"
        times.append(found.seconds)
    known = [seconds for seconds in times if seconds is not None]
    total = (sum(low for low, _ in known), sum(high for _, high in known)) if len(known) == len(times) else None
    return SweepPlan(runs=len(points), seconds=total, too_big=too_big)
