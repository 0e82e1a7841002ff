"""What this machine's runs have taught: how far estimates were off, and how fast it computes.

Each run's folder holds what was estimated before it began (`estimate.json`), the lengths of its own rows (`lengths.json`)
and, in its last events, what was measured: its steps, which are timed, whatever becomes of it; and the peak of one that is
finished. Compared is the estimate with the run's own lengths: before it began they may not have been known.
Nothing else is stored: the calibration is read off the newest runs each time it is asked for.
"""

from __future__ import annotations

import functools
import itertools
import statistics
import threading
import time
from dataclasses import dataclass

from pydantic import ValidationError

from interfaces.config import FineTuneConfig
from interfaces.device import Device
from interfaces.events import Finished, Step, read_tail
from interfaces.folders import Home, RunFolder
from interfaces.records import read_record
from interfaces.row_lengths import RowLengths
from interfaces.run_config import Settings
from studio.sizing.batch_lengths import Lengths
from studio.sizing.estimate import estimate
from studio.sizing.records import RunEstimate
from studio.sizing.work import flops_per_token

NEWEST = 40
"""Trials that count: what was learned long ago was of other versions."""
MOST_RUNS = 400
"""Runs that are looked at for them: many may wait, or have failed at once."""
LEAST_STEPS = 3
"""Timed steps of a run from which its speed is known; the first is no measure, it also pays for what is done once."""
TIMED_STEPS = LEAST_STEPS + 1
WHOLE_EPOCH = 0.99
"""Of the rows: from here on a run has met its largest batch."""
LEAST_RUNS = 3
"""Below this a correction would be learned from chance."""
WITHIN = (0.8, 1.3)
"""No correction goes further: it would hide a mistake."""
LEAST_SPREAD = 1.1
"""A few steps one after the other say nothing of an hour with other programs beside."""
FRESH_SECONDS = 5.0


@dataclass(frozen=True)
class Trial:
    """One run: what was estimated for it, uncorrected, and what it took."""

    run: str
    device: str
    model: str
    estimated_bytes: int
    measured_bytes: int
    """Its peak; 0 for a run that isn't finished or hasn't seen all rows, which may not have met its largest batch."""
    tokens_per_second: float
    slowest: float
    fastest: float
    """Tokens a second of its slower and its faster steps: the tenth from either end."""
    flops_per_token: float
    variant: str
    """What of the settings decides the speed besides the model: bits and recomputing."""

    @property
    def ratio(self) -> float:
        return self.measured_bytes / self.estimated_bytes


@dataclass(frozen=True)
class Calibration:
    """All trials of one home, newest first."""

    trials: tuple[Trial, ...] = ()

    @property
    def finished(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.measured_bytes]

    def correction(self, device: Device) -> float:
        """By how much measured peaks on this device differ from estimates; 1 where too little is known."""
        ratios = [trial.ratio for trial in self.finished if trial.device == device.name]
        if len(ratios) < LEAST_RUNS:
            return 1.0
        return min(max(statistics.median(ratios), WITHIN[0]), WITHIN[1])

    def error(self) -> float | None:
        """The median of how far estimates were off, as a share; None without a finished run."""
        errors = [abs(1 / trial.ratio - 1) for trial in self.finished]
        return statistics.median(errors) if errors else None

    def tokens_per_second(
        self, device: Device, model: str, variant: str, flops_per_token: float
    ) -> tuple[float, float] | None:
        """(slow, fast) as this model ran here, else as the device computed with others; None where nothing has run.

        The range is that of the steps that were measured: other programs, and rows of other lengths, are in it.
        """
        here = [trial for trial in self.trials if trial.device == device.name]
        for same in (
            [trial for trial in here if (trial.model, trial.variant) == (model, variant)],
            [trial for trial in here if trial.model == model],
            [trial for trial in here if trial.variant == variant],
            here,
        ):
            if same:
                slow = min(trial.slowest * trial.flops_per_token for trial in same) / flops_per_token
                fast = max(trial.fastest * trial.flops_per_token for trial in same) / flops_per_token
                middle = statistics.median(trial.tokens_per_second * trial.flops_per_token for trial in same)
                middle /= flops_per_token
                return min(slow, middle / LEAST_SPREAD), max(fast, middle * LEAST_SPREAD)
        return None


def variant_name(config: FineTuneConfig) -> str:
    bits = "4" if config.load_in_4bit else "8" if config.load_in_8bit else "16"
    return f"{bits} bits{', recomputed' if config.gradient_checkpointing is True else ''}"


def estimate_of_run(folder: RunFolder) -> RunEstimate | None:
    """What a run was estimated to need: with the lengths of its own rows, once they are known.

    None where nothing was estimated.
    """
    changed = [path.stat().st_mtime_ns if path.is_file() else 0 for path in (folder.estimate, folder.lengths)]
    return _estimate_of_run(folder, *changed)


@functools.lru_cache(maxsize=2 * MOST_RUNS)
def _estimate_of_run(folder: RunFolder, _estimated: int, _counted: int) -> RunEstimate | None:
    record, figures = read_record(folder.estimate), read_record(folder.lengths)
    try:
        before = RunEstimate.model_validate(record)
        lengths = Lengths.of_figures(RowLengths.model_validate(figures)) if figures else None
    except ValidationError:  # made by hand, or damaged
        return None
    if lengths is None:
        return before
    shape, config = before.shape, before.config
    found = estimate(shape, config, before.device.device(), lengths, correction=before.correction).to_record()
    as_before = {"steps": before.steps, "seconds": before.seconds}
    return before.model_copy(
        update={**dict(found), **as_before, "flops_per_token": flops_per_token(shape, config, lengths)}
    )


def trial_of(folder: RunFolder) -> Trial | None:
    """A run's trial, where it was estimated, its rows were counted, and it has timed a few steps."""
    expected = estimate_of_run(folder)
    if expected is None or expected.flops_per_token is None:
        return None
    events = read_tail(folder.events)
    try:
        last = events[-1] if events else None
        steps = [event for event in events if isinstance(event, Step)]
        timed = [step for step in steps[1:] if step.seconds > 0]
        whole = isinstance(last, Finished) and steps and steps[-1].epoch > WHOLE_EPOCH
        measured = last.peak_memory_bytes if isinstance(last, Finished) and whole else 0
        if len(timed) < LEAST_STEPS and not measured:
            return None
        seconds = sum(step.seconds for step in timed)
        speeds = sorted(step.tokens / step.seconds for step in timed) or [0.0]
        return Trial(
            run=folder.id, device=expected.device.name, model=expected.config.model_name,
            estimated_bytes=round(expected.comparable_bytes / expected.correction), measured_bytes=measured,
            tokens_per_second=sum(step.tokens for step in timed) / seconds if seconds else 0.0,
            slowest=speeds[len(speeds) // 10], fastest=speeds[-1 - len(speeds) // 10],
            flops_per_token=expected.flops_per_token, variant=variant_name(expected.config),
        )  # fmt: skip
    except ZeroDivisionError:
        return None


def timing_config(config: Settings, name: str = f"{TIMED_STEPS} timed steps") -> Settings:
    """The settings of a run that only teaches their speed: its batches are theirs, and nothing is measured, answered or saved on the way."""
    return {
        **config, "name": name, "max_steps": TIMED_STEPS, "gradient_accumulation_steps": 1,
        "logging_steps": 1, "warmup_steps": 0.0, "save_steps": 0.0, "save_minutes": 0.0, "sample_prompts": [],
        "validation_dataset": "", "validation_split": 0.0, "early_stopping_patience": 0, "load_best_model_at_end": False,
    }  # fmt: skip


_kept: dict[str, tuple[float, Calibration]] = {}
_guard = threading.Lock()


def forget_calibration(home: Home) -> None:
    """Have the runs read anew when they are asked for next."""
    with _guard:
        _kept.pop(str(home.path), None)


def calibration_of(home: Home) -> Calibration:
    """What a home's newest runs have taught. Kept for a few seconds: a form asks at each change."""
    with _guard:
        now = time.monotonic()
        kept = _kept.get(str(home.path))
        if kept and now - kept[0] < FRESH_SECONDS:
            return kept[1]
        names = sorted((path.name for path in home.runs.glob("*-*")), reverse=True)[:MOST_RUNS]
        trials = (trial for name in names if (trial := trial_of(home.run(name))) is not None)
        useful = (trial for trial in trials if trial.estimated_bytes > 0 and trial.tokens_per_second > 0)
        found = Calibration(tuple(itertools.islice(useful, NEWEST)))
        _kept[str(home.path)] = (now, found)
        return found
