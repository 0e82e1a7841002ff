"""Events and folders as runs leave them, without a run."""

from __future__ import annotations

from interfaces.events import Finished, Started, Step
from interfaces.files import write_json
from interfaces.folders import Home, RunFolder
from studio.sizing.calibration import Trial

TRIAL = Trial("r", "a processor", "starter", 1000, 1100, 50.0, 2e8, "16 bits")


def add_run(
    home: Home, name: str, estimated: int, measured: int, kind: str = "cpu", correction: float = 1.0
) -> RunFolder:
    folder = home.run(name)
    folder.path.mkdir(parents=True)
    record = {
        "total_bytes": estimated, "tensor_bytes": estimated - 100, "device": {"kind": kind, "name": "a processor"}, "model": "starter",
        "way": "16 bits", "correction": correction, "flops_per_token": 2e8,
    }  # fmt: skip
    write_json(folder.estimate, record)
    steps = [
        Step(
            step=n,
            total_steps=3,
            epoch=1,
            loss=1,
            learning_rate=1e-3,
            tokens=100,
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


STARTED = Started(run="r", model_name="m", device="cpu", dtype="float32", threads=1)
