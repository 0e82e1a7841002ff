"""How far adapters are apart: not at all, by a number, or not comparable."""

from __future__ import annotations

from pathlib import Path

import pytest

from interfaces.errors import FineTuneError
from interfaces.problems import Code

pytestmark = pytest.mark.tiny


def written(folder: Path, **tensors: list[float]) -> Path:
    import torch
    from safetensors.torch import save_file

    folder.mkdir(exist_ok=True)
    save_file({name: torch.tensor(values) for name, values in tensors.items()}, folder / "adapter_model.safetensors")
    return folder


def test_the_distance_is_that_of_the_weights(tmp_path: Path) -> None:
    from trainer.artifacts.adapter_difference import difference_of

    first = written(tmp_path / "1", a=[3.0, 4.0], b=[0.0])
    assert difference_of(first, written(tmp_path / "2", a=[3.0, 4.0], b=[0.0])).equal
    apart = difference_of(first, written(tmp_path / "3", a=[3.0, 4.5], b=[0.0]))
    assert (apart.equal, apart.largest, apart.relative) == (False, 0.5, 0.1)
    for place, end in ((tmp_path / "a", 4.0), (tmp_path / "b", 4.5)):  # models in shards
        written(place, a=[3.0]).joinpath("adapter_model.safetensors").rename(place / "model-00001-of-00002.safetensors")
        written(place, b=[end]).joinpath("adapter_model.safetensors").rename(place / "model-00002-of-00002.safetensors")
    apart = difference_of(tmp_path / "a", tmp_path / "b")
    assert (apart.equal, apart.largest, apart.relative) == (False, 0.5, 0.1)
    other = difference_of(first, written(tmp_path / "4", a=[3.0, 4.0]))
    assert (other.equal, other.largest) == (False, None)
    damaged = written(tmp_path / "5", a=[1.0])
    (damaged / "adapter_model.safetensors").write_bytes(b"{")
    for place in (damaged, tmp_path / "none"):
        with pytest.raises(FineTuneError) as caught:
            difference_of(first, place)
        assert caught.value.problems[0].code is Code.ADAPTER_UNUSABLE
