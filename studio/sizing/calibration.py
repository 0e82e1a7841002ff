"""Calibrates estimates with this machine's earlier runs: the error of memory estimates, and the speed.

Each run folder has the estimate from before the start (`estimate.json`), the lengths of its rows (`lengths.json`), and,
in its last events, the measurements: step times for every run, and peak memory for a finished run. The comparison uses
an estimate with the run's real lengths, which may have been unknown before the start. Nothing else is stored: each
request derives the calibration from the newest runs.
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
"""The number of newest trials that count; older ones used other versions."""
MOST_RUNS = 400
"""The number of runs to search for trials: many may be queued or have failed early."""
LEAST_STEPS = 3
"""The timed steps that a run needs. The first step doesn't count, because it includes one-time setup."""
TIMED_STEPS = LEAST_STEPS + 1
WHOLE_EPOCH = 0.99
"""The share of the rows after which a run has seen its largest batch."""
LEAST_RUNS = 3
"""With fewer runs, a correction would be noise."""
WITHIN = (0.8, 1.3)
"""The bounds of a correction. Beyond them it would hide a bug."""
LEAST_SPREAD = 1.1
"""A few consecutive steps don't show how other programs affect a long run."""
FRESH_SECONDS = 5.0


@dataclass(frozen=True)
class Trial:
    """One run: its uncorrected estimate and its measurements."""

    run: str
    device: str
    model: str
    estimated_bytes: int
    measured_bytes: int
    """The peak; 0 for a run that is unfinished or hasn't seen all rows, and so perhaps not its largest batch."""
    tokens_per_second: float
    slowest: float
    fastest: float
    """Tokens per second of its slow and fast steps: the 10th and 90th percentiles."""
    flops_per_token: float
    variant: str
    """The settings that affect the speed besides the model: quantization bits and gradient checkpointing."""

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
        """Return the factor between measured peaks on this device and estimates; 1 with too few trials."""
        ratios = [trial.ratio for trial in self.finished if trial.device == device.name]
        if len(ratios) < LEAST_RUNS:
            return 1.0
        return min(max(statistics.median(ratios), WITHIN[0]), WITHIN[1])

    def error(self) -> float | None:
        """Return the median relative error of the estimates, or None without a finished run."""
        errors = [abs(1 / trial.ratio - 1) for trial in self.finished]
        return statistics.median(errors) if errors else None

    def tokens_per_second(
        self, device: Device, model: str, variant: str, flops_per_token: float
    ) -> tuple[float, float] | None:
        """Return the (slow, fast) speed of this model here, else one derived from other models; None without any run.

        The range covers the measured steps, which includes the effects of other programs and of row lengths.
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
    recomputed = ", recomputed" if config.gradient_checkpointing is True else ""
    return f"{bits} bits{recomputed}{', all weights' if config.tuning == 'full' else ''}"


def estimate_of_run(folder: RunFolder) -> RunEstimate | None:
    """Return the estimate of a run, with the real lengths of its rows once they are known.

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
    """Return a run's trial if it has an estimate, row lengths, and a few timed steps."""
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
    """Return settings for a short run that only times steps: the same batches, but no evaluation, samples, or saves."""
    return {
        **config, "name": name, "max_steps": TIMED_STEPS, "gradient_accumulation_steps": 1,
        "logging_steps": 1, "warmup_steps": 0.0, "save_steps": 0.0, "save_minutes": 0.0, "sample_prompts": [],
        "validation_dataset": "", "validation_split": 0.0, "early_stopping_patience": 0, "load_best_model_at_end": False,
    }  # fmt: skip


_kept: dict[str, tuple[float, Calibration]] = {}
_guard = threading.Lock()


def forget_calibration(home: Home) -> None:
    """Clear the cache, so that the next request reads the runs again."""
    with _guard:
        _kept.pop(str(home.path), None)


def calibration_of(home: Home) -> Calibration:
    """Return the calibration from a home's newest runs, cached for a few seconds: a form asks on each change."""
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
