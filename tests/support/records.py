"""Events and folders as runs leave them, without a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, Literal

import yaml

from interfaces.config import FineTuneConfig
from interfaces.device import Device
from interfaces.events import CheckpointCommitted, Evaluated, Event, Finished, Sampled, Started, Step
from interfaces.files import write_json
from interfaces.folders import Home, RunFolder
from interfaces.row_lengths import RowLengths
from studio.models.catalog import BY_ID
from studio.sizing.batch_lengths import Lengths
from studio.sizing.calibration import Trial
from studio.sizing.estimate import estimate

TRIAL = Trial("r", "a processor", "starter", 1000, 1100, 50.0, 40.0, 60.0, 2e8, "16 bits")
SHAPE = BY_ID["starter"].shape
CONFIG = FineTuneConfig(model_name="starter", dataset="x", gradient_checkpointing=False)
LENGTHS = {
    "rows": 3, "counted": 3, "longest": 100, "tokens_kept": 300, "trained_tokens": 150, "max_length": 1024,
    "histogram": {"edges": [0, 96, 104], "counts": [0, 3]},
}  # fmt: skip


def add_run(
    home: Home, name: str, ratio: float, kind: Literal["cpu", "cuda"] = "cpu", correction: float = 1.0,
    device_name: str = "a processor", tokens: int = 100,
) -> RunFolder:  # fmt: skip
    """A finished run that took `ratio` of what it would have been estimated to need with its own rows, uncorrected.

    Before it began nothing was known of their lengths.
    """
    folder = home.run(name)
    folder.path.mkdir(parents=True)
    device = Device(kind, device_name, 1 << 34, 1 << 34)
    before, own = (
        estimate(SHAPE, CONFIG, device, lengths, correction=by)
        for lengths, by in ((None, correction), (Lengths.of_figures(RowLengths.model_validate(LENGTHS)), 1.0))
    )
    question = {"correction": correction, "shape": asdict(SHAPE), "config": CONFIG.model_dump(exclude={"output_dir"})}
    write_json(folder.estimate, {**before.to_record().model_dump(), **question})
    write_json(folder.lengths, LENGTHS)
    measured = round((own.tensor_bytes if kind == "cuda" else own.total_bytes) * ratio)
    steps = [
        Step(
            step=n,
            total_steps=3,
            epoch=1,
            loss=1,
            learning_rate=1e-3,
            tokens=tokens,
            trained_tokens=50,
            seconds=seconds,
            memory_bytes=1,
        )
        for n, seconds in ((1, 9.0), (2, 1.0), (3, 1.0))
    ]
    end = Finished(step=3, adapter="adapter", peak_memory_bytes=measured, seconds=12)
    folder.events.write_text("".join(event.model_dump_json() + "\n" for event in [*steps, end]))
    return folder


def step(number: int, total: int = 100, loss: float = 1.0) -> Step:
    return Step(
        step=number, total_steps=total, epoch=0.1, loss=loss, learning_rate=1e-3, tokens=50, trained_tokens=2, seconds=0.5,
        memory_bytes=7,
    )  # fmt: skip


def recorded_run(home: Home, *events: Event, **settings: Any) -> RunFolder:
    """A run that nobody trained: a folder with these settings and events."""
    folder = home.create_run()
    folder.config.write_text(yaml.safe_dump(settings))
    folder.create_attempt()
    lines = [event.model_copy(update={"seq": number}).model_dump_json() for number, event in enumerate(events, 1)]
    folder.events.write_text("".join(line + "\n" for line in lines))
    return folder


STARTED = Started(run="r", model_name="m", device="cpu", dtype="float32", threads=1)


def kept(events: Iterable[Event]) -> Iterator[Event]:
    """The events that count, from a list of all: what a resume did again is said once, by the attempt that went on from it.

    The rule in another form than `interfaces.history` has it, to hold that against.
    """
    events = list(events)
    horizon: dict[int, int] = {}
    for event in events:
        if isinstance(event, Started):
            # A retry from scratch (None) sets aside every step of the attempts before it.
            resumed_from = event.resumed_from_step or 0
            for earlier in range(1, event.attempt):
                horizon[earlier] = min(horizon.get(earlier, resumed_from), resumed_from)
    for event in events:
        repeated = isinstance(event, Step | Evaluated | Sampled | CheckpointCommitted) and event.step > horizon.get(
            event.attempt, event.step
        )
        if not repeated:
            yield event


def elapsed(events: list[Event]) -> float:
    """Wall time over all attempts, the pauses between them left out."""
    begun: dict[int, float] = {}
    ended: dict[int, float] = {}
    for event in events:
        if isinstance(event, Started):
            begun[event.attempt] = event.time
        ended[event.attempt] = event.time
    return sum(max(ended[attempt] - start, 0.0) for attempt, start in begun.items())
