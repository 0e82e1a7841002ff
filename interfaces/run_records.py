"""What a run's folder says of the run beside its config and its events: its name, and where its result comes from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, ValidationError

from interfaces.dataset_records import Part
from interfaces.errors import FineTuneError
from interfaces.files import sha256_of, write_json
from interfaces.folders import RunFolder
from interfaces.problems import Code
from interfaces.records import read_as, read_record
from interfaces.trainer_jobs import AdapterDifference

SweepValue = int | float | bool | str


class SweepPoint(BaseModel):
    """A run's place in a sweep: the sweep's id and name, the run's number from 1, and the values it tries."""

    id: str
    name: str
    number: int
    runs: int
    values: dict[str, SweepValue]


class RunMeta(BaseModel):
    """`meta.json`: what a person calls the run and says of it, its model, and its datasets with their ids."""

    name: str = ""
    model: str = ""
    dataset: str = ""
    dataset_id: str = ""
    validation_id: str = ""
    timing: bool = False
    """It only measures steps, for the estimate."""
    tags: list[str] = Field(default_factory=list)
    note: str = ""
    sweep: SweepPoint | None = None

    @classmethod
    def of(cls, folder: RunFolder) -> Self:
        """Empty where there is none, or it is damaged.

        Raises:
            FineTuneError: another version wrote it.
        """
        try:
            return cls.model_validate(read_record(folder.meta) or {})
        except ValidationError:
            return cls()

    def write(self, folder: RunFolder) -> None:
        write_json(folder.meta, self.model_dump())


class Reproduction(BaseModel):
    """`reproduction.json`: the run that this one repeats, and once it has finished, how close it came.

    `conditions` maps what differs to the values of both runs: data, base model, device, dtype, threads, versions.
    """

    of: str
    difference: AdapterDifference | None = None
    conditions: dict[str, tuple[str, str]] = Field(default_factory=dict)

    @classmethod
    def of_run(cls, folder: RunFolder) -> Self | None:
        """None if the run repeats no other one, or the record is damaged.

        Raises:
            FineTuneError: another version wrote it.
        """
        return read_as(folder.path / "reproduction.json", cls)

    def write(self, folder: RunFolder) -> None:
        write_json(folder.path / "reproduction.json", self.model_dump(mode="json"))


class BaseOrigin(BaseModel):
    """The base model: its portable name, the name in the config, and the commit on the Hub."""

    name: str
    requested: str
    revision: str | None = None
    fingerprint: str | None = None
    """Differs once the weights in a folder are replaced; None for runs of earlier versions."""


class DatasetOrigin(BaseModel):
    """The dataset's report, as far as it identifies the rows."""

    id: str
    name: str
    sha256: str = ""
    examples_sha256: str = ""
    rows: int
    format: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    parts: list[Part] | None = None


class Machine(BaseModel):
    """What the first attempt computed with: a resume continues with the same."""

    device: str
    dtype: str
    threads: int
    batches: str
    """'flat' or 'padded'."""
    logits: str
    """'trained' or 'all': the positions with logits."""
    hardware: str = ""
    """The processor or the GPU by its name; empty for runs of earlier versions."""


class Lineage(BaseModel):
    """`lineage.json`: data, base model, machine and library versions of the first attempt."""

    dataset: DatasetOrigin
    validation_dataset: DatasetOrigin | None = None
    base: BaseOrigin
    machine: Machine
    versions: dict[str, str]

    @classmethod
    def of(cls, folder: RunFolder) -> Self | None:
        """None where there is none yet, or it is damaged.

        Raises:
            FineTuneError: another version wrote it.
        """
        return read_as(folder.lineage, cls)

    def write(self, folder: RunFolder) -> None:
        write_json(folder.lineage, self.model_dump(exclude_none=True))


RESUME_STATE = frozenset({"optimizer.pt", "rng_state.pth", "scheduler.pt", "trainer_state.json"})
"""What a resume needs of a checkpoint beside the adapter or the model."""
OF_A_RESUME = RESUME_STATE | {"MANIFEST.json"}
"""What a checkpoint holds beside the adapter or the model."""


def is_whole_model(folder: Path) -> bool:
    """Return whether a result or a checkpoint holds all weights of a model, and not an adapter."""
    return (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file()


def has_result(folder: Path) -> bool:
    """Return whether a folder holds an adapter or a whole model."""
    return (folder / "adapter_config.json").is_file() or is_whole_model(folder)


def weight_files(folder: Path) -> list[Path]:
    """Return the files with the weights of a result or a checkpoint."""
    return sorted(folder.glob("*.safetensors"))


def result_sha256(folder: Path) -> str:
    """Return the sha256 of an adapter's weights, or of those of all shards of a model.

    Raises:
        OSError: they can't be read.
    """
    found = [sha256_of(path) for path in weight_files(folder)]
    if not found:
        raise FileNotFoundError(str(folder))
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


def result_folder(run: RunFolder, step: int | None = None) -> Path:
    """Return the folder of a run's adapter or model, or the checkpoint of a step.

    Raises:
        FineTuneError: there is none.
    """
    place = run.result if step is None else run.checkpoint(step)
    if has_result(place):
        return place
    if step is None:
        raise FineTuneError.of(Code.NO_ADAPTER, run=run.id)
    raise FineTuneError.of(Code.NO_CHECKPOINT, run=run.id, value=step, known=result_steps(run))


def result_steps(run: RunFolder) -> list[int]:
    """Return the steps whose checkpoint is kept, in order."""
    there = (path for path in run.checkpoints.glob("step-*") if has_result(path))
    return sorted(int(path.name.removeprefix("step-")) for path in there)
