"""Carries out what the studio asks of datasets (`interfaces/dataset_requests.py`)."""

from __future__ import annotations

from pydantic import BaseModel

from interfaces.dataset_requests import (
    ChangeRequest,
    DatasetRequest,
    DivideRequest,
    DuplicatesRequest,
    FixRequest,
    MaskRequest,
    MixRequest,
)
from interfaces.folders import Home
from interfaces.trainer_jobs import AddedDataset, OnProgress


def carry_out(home: Home, request: DatasetRequest, tell: OnProgress) -> BaseModel:
    """Return the answer to a request.

    Raises:
        FineTuneError: a dataset doesn't exist, or the request can't be carried out.
    """
    from trainer.data.changing import change_rows
    from trainer.data.dividing import divide
    from trainer.data.duplicates import find_duplicates
    from trainer.data.editing import edit_rows
    from trainer.data.mixing import mix_datasets
    from trainer.data.personal import mask_personal, personal_data

    if isinstance(request, MixRequest):
        return AddedDataset(dataset=mix_datasets(home, request.parts).id)
    folder = home.dataset(request.dataset)
    if isinstance(request, FixRequest):
        return AddedDataset(dataset=edit_rows(home, folder, request.changes, tell).id)
    if isinstance(request, ChangeRequest):
        return AddedDataset(dataset=change_rows(home, folder, request.changes, request.added, tell).id)
    if isinstance(request, MaskRequest):
        return AddedDataset(dataset=mask_personal(home, folder, request.kinds, tell).id)
    if isinstance(request, DivideRequest):
        return divide(home, folder, request.share, request.seed, tell)
    if isinstance(request, DuplicatesRequest):
        return find_duplicates(folder, tell)
    return personal_data(folder, tell)
