"""How far the weights of two adapters, or of two models, are apart."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from interfaces.run_records import weight_files
from interfaces.trainer_jobs import AdapterDifference
from trainer.artifacts.adapter import ADAPTER_FILES, unusable

ELEMENTS = 1 << 22
"""Numbers that are compared in 64 bits at once, so that a large table doesn't exist in them."""


def difference_of(first: Path, second: Path) -> AdapterDifference:
    """Compare the weights in two folders, tensor by tensor.

    Raises:
        FineTuneError: one of them has no readable weights.
    """
    one, other = (_weights(folder) for folder in (first, second))
    if {name: tensor.shape for name, tensor in one.items()} != {name: tensor.shape for name, tensor in other.items()}:
        return AdapterDifference(equal=False, largest=None, relative=None)
    equal = all(tensor.dtype == other[name].dtype and torch.equal(tensor, other[name]) for name, tensor in one.items())
    norm = distance = largest = 0.0
    for name, tensor in one.items():
        parts = (whole.flatten().split(ELEMENTS) for whole in (tensor, other[name]))
        for ours, theirs in zip(*parts, strict=True):
            wide = ours.double()
            apart = wide - theirs.double()
            norm, distance = norm + float(wide @ wide), distance + float(apart @ apart)
            largest = max(largest, float(apart.abs().max()) if apart.numel() else 0.0)
    relative = (distance / norm if norm else distance) ** 0.5
    return AdapterDifference(equal=equal, largest=largest, relative=relative)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    places = weight_files(folder)
    if not places:
        raise unusable(folder.name, "file_not_there", str(folder / ADAPTER_FILES[1]))
    found: dict[str, torch.Tensor] = {}
    for place in places:
        try:
            found |= load_file(place)
        except SafetensorError as error:
            raise unusable(folder.name, "file_damaged", place.name) from error
    return found
