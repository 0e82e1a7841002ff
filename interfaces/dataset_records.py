"""What the trainer's child and the studio say to each other of datasets, and what a dataset's files hold of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class HubSplit(BaseModel):
    """A split of a Hub dataset: what is fetched for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    files: int
    bytes: int


class HubSplits(BaseModel):
    """What there is to choose from in a dataset of the Hub."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    configs: tuple[str, ...]
    config: str
    """The config whose splits these are: the one asked for, else the default or the first."""
    splits: tuple[HubSplit, ...]
    first: tuple[str, ...] = ()
    """The first rows of the first split, each as JSON; none where they can't be streamed."""
