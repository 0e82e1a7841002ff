"""Each request reaches what carries it out."""

from __future__ import annotations

from pathlib import Path

import pytest

from interfaces.dataset_requests import (
    ChangeRequest,
    DividedDatasets,
    DivideRequest,
    Duplicates,
    DuplicatesRequest,
    FixRequest,
    MaskRequest,
    MixRequest,
    PersonalData,
    PersonalRequest,
)
from interfaces.errors import FineTuneError
from interfaces.folders import Home
from interfaces.trainer_jobs import AddedDataset, ignore_progress
from trainer.data.dataset import add_dataset
from trainer.data.requests import carry_out


def test_every_request_is_answered(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(
        "".join(f'{{"instruction": "Question {n}?", "output": "Answer number {n}, and more."}}\n' for n in range(4))
    )
    dataset = add_dataset(home, file).id
    home.cache.mkdir()
    answers = [
        carry_out(home, request, ignore_progress)
        for request in (
            MixRequest(parts={dataset: 2.0}), FixRequest(dataset=dataset, changes={1: None}), ChangeRequest(dataset=dataset, changes={0: None}),
            MaskRequest(dataset=dataset, kinds=["email"]), DivideRequest(dataset=dataset, share=0.5), DuplicatesRequest(dataset=dataset), PersonalRequest(dataset=dataset),
        )
    ]  # fmt: skip
    kinds = [AddedDataset] * 4 + [DividedDatasets, Duplicates, PersonalData]
    assert [type(answer) for answer in answers] == kinds
    with pytest.raises(FineTuneError):
        carry_out(home, ChangeRequest(dataset="0" * 16), ignore_progress)
