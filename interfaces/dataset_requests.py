"""What a child process is asked to do with datasets: mix, fix, change, divide them, and look for what shouldn't be there.

The studio writes a `DatasetRequest` as JSON, `trainer/data/requests.py` carries it out. Positions count from 0 over the
rows of `examples.jsonl`.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, Field

from interfaces.example import Example, ExampleRecord

PersonalKind = Literal["email", "phone", "card", "key"]
PERSONAL_KINDS: tuple[PersonalKind, ...] = get_args(PersonalKind)


class MixRequest(BaseModel):
    """A new dataset from several: ids with weights. Weight 2 uses each row twice, 0.5 a random half."""

    op: Literal["mix"] = "mix"
    parts: dict[str, float]


class FixRequest(BaseModel):
    """A new dataset with rows of the source file replaced by a text, or removed; by their numbers in the file."""

    op: Literal["fix"] = "fix"
    dataset: str
    changes: dict[int, str | None]


class ChangeRequest(BaseModel):
    """A new dataset with rows replaced, or removed (None), by their positions, and rows added at the end."""

    op: Literal["change"] = "change"
    dataset: str
    changes: dict[int, ExampleRecord | None] = {}
    added: list[ExampleRecord] = []


class MaskRequest(BaseModel):
    """A new dataset with personal data replaced by what it was, such as [EMAIL]."""

    op: Literal["mask"] = "mask"
    dataset: str
    kinds: list[PersonalKind]


class DivideRequest(BaseModel):
    """Two new datasets with the rows of one, at random; equal rows stay together. `share` is that of the second."""

    op: Literal["divide"] = "divide"
    dataset: str
    share: float = Field(gt=0, lt=1)
    seed: int = 42


class DuplicatesRequest(BaseModel):
    """Find rows that say nearly the same; the answer is `Duplicates`."""

    op: Literal["duplicates"] = "duplicates"
    dataset: str


class PersonalRequest(BaseModel):
    """Find personal data; the answer is `PersonalData`."""

    op: Literal["personal"] = "personal"
    dataset: str


DatasetRequest = Annotated[
    MixRequest | FixRequest | ChangeRequest | MaskRequest | DivideRequest | DuplicatesRequest | PersonalRequest,
    Field(discriminator="op"),
]


class DividedDatasets(BaseModel):
    """The ids of the two new datasets, the larger rest first, with their rows."""

    first: str
    second: str
    rows: tuple[int, int]


class Duplicates(BaseModel):
    """Groups of rows that say nearly the same, by their positions in order; `seconds` is how long it took."""

    groups: list[list[int]]
    rows: int
    seconds: float

    @property
    def repeated(self) -> list[int]:
        """The positions of all rows but the first of each group."""
        return [position for group in self.groups for position in group[1:]]


class PersonalFinding(BaseModel):
    """Personal data in a row, with the middle left out."""

    position: int
    kind: PersonalKind
    shown: str


class PersonalData(BaseModel):
    """How often each kind of personal data was found, in how many rows, and the first findings."""

    counts: dict[PersonalKind, int]
    rows: int
    found_rows: int
    first: list[PersonalFinding]
    seconds: float


class RowChange(BaseModel):
    """A line of `difference.jsonl`: a row before and after a change; None where it was added or removed."""

    position: int | None
    before: Example | None = None
    after: Example | None = None


class Origin(BaseModel):
    """Where a changed dataset comes from, and how many rows were changed, removed and added.

    `left_out` rows had errors: a copy has only rows that can be trained on.
    """

    dataset: str
    changed: int = 0
    removed: int = 0
    added: int = 0
    left_out: int = 0
