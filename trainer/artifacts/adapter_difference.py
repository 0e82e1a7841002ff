"""How far the weights of two adapters are apart."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from interfaces.trainer_jobs import AdapterDifference
from trainer.artifacts.adapter import ADAPTER_FILES, unusable


def difference_of(first: Path, second: Path) -> AdapterDifference:
    """Compare the weights in two folders, tensor by tensor.

    Raises:
        FineTuneError: one of them has no readable weights.
    """
    one, other = (_weights(folder) for folder in (first, second))
    if {name: tensor.shape for name, tensor in one.items()} != {name: tensor.shape for name, tensor in other.items()}:
        return AdapterDifference(equal=False, largest=None, relative=None)
    equal = all(tensor.dtype == other[name].dtype and torch.equal(tensor, other[name]) for name, tensor in one.items())
    apart = [(tensor.double() - other[name].double()) for name, tensor in one.items()]
    norm = sum(float(tensor.double().square().sum()) for tensor in one.values()) ** 0.5
    distance = sum(float(tensor.square().sum()) for tensor in apart) ** 0.5
    largest = max((float(tensor.abs().max()) for tensor in apart if tensor.numel()), default=0.0)
    return AdapterDifference(equal=equal, largest=largest, relative=distance / norm if norm else distance)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    place = folder / ADAPTER_FILES[1]
    if not place.is_file():
        raise unusable(folder.name, "file_not_there", str(place))
    try:
        return load_file(place)
    except SafetensorError as error:
        raise unusable(folder.name, "file_damaged", ADAPTER_FILES[1]) from error
