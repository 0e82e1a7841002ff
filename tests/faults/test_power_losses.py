"""The power goes at a random moment: what was acknowledged is still there, and the run continues to the same weights."""

import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from interfaces.events import read_events
from interfaces.folders import Home
from tests.faults.disks import power_disk
from tests.faults.rig import (
    SEED,
    Moments,
    Nursery,
    Result,
    check_equal,
    check_no_torn_commit,
    new_run,
    rounds,
    run_to_the_end,
)
from trainer.artifacts.checkpoints import newest_checkpoint
from trainer.training.event_log import DURABLE

pytestmark = [pytest.mark.tiny, pytest.mark.alone]  # what was acknowledged a second ago has to be there
BEHIND_SECONDS = 1.0
"""So much may be lost of what is no change of state."""


def acknowledged(acks: Path, before: float) -> list[tuple[int, str]]:
    """Sequence number and kind of what had to be on the disk at `before` (monotonic seconds)."""
    durable = {kind.__name__ for kind in DURABLE}
    notes = [json.loads(line) for line in acks.read_text().splitlines()]
    return [(seq, kind) for seq, kind, at in notes if at <= before - (0 if kind in durable else BEHIND_SECONDS)]


def test_acknowledged_data_survives_power_loss_and_run_resumes(
    nursery: Nursery, fault_job: dict[str, Any], undisturbed: Result, tmp_path: Path
) -> None:
    losses, moments, chance = rounds(2, "POWER_LOSSES"), Moments(), random.Random(SEED)
    with power_disk(tmp_path / "power") as disk:
        folder = new_run(Home(disk.path / "home"), fault_job)
        acks = tmp_path / "acks"
        survived = cuts = 0
        while cuts < losses:
            attempt = nursery.start(folder, acks)
            if not moments.wait(attempt, longest=chance.uniform(0.5, 3.0)):
                assert attempt.wait() == 0, folder.log.read_text()[-3000:]
                disk.cut()  # a result that was announced survives it too
                disk.unmount()
                disk.mount()
                check_equal(folder, undisturbed)
                folder = new_run(Home(disk.path / "home"), fault_job)
                acks.unlink()
                continue
            moment = time.monotonic()
            disk.cut()
            attempt.signal(signal.SIGKILL)
            attempt.wait()
            disk.unmount()
            disk.mount()
            cuts += 1
            there = {event.seq: type(event).__name__ for event in read_events(folder.events)}
            wanted = acknowledged(acks, moment)
            missing = [(seq, kind) for seq, kind in wanted if there.get(seq) != kind]
            assert not missing, f"seed {SEED}: {missing}"
            survived += len(wanted)
            check_no_torn_commit(folder)
            assert newest_checkpoint(folder)[1] == [], f"seed {SEED}"
            # Numbers that the power took are given again: what was noted of them counts no more.
            acks.write_text("".join(json.dumps([seq, kind, 0.0]) + "\n" for seq, kind in there.items()))
        assert run_to_the_end(nursery, folder) == undisturbed
    print(f"{cuts} power losses ({moments.into_saves} into a save): {survived} acknowledged events, none lost; equal")
