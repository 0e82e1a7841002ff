"""`finetune data duplicates`, `personal` and `divide`: what shouldn't be in a dataset, and two datasets from one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.console import HomeOption, JsonOption, home_of, print_table
from studio.cli.data import DatasetArgument

if TYPE_CHECKING:
    from interfaces.dataset_requests import PersonalKind

cleaning = typer.Typer()


@cleaning.command()
def duplicates(
    dataset: DatasetArgument,
    remove: Annotated[bool, typer.Option("--remove", help="Make a version with the first row of each group.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find rows that say nearly the same."""
    from interfaces.dataset_requests import ChangeRequest, Duplicates, DuplicatesRequest
    from interfaces.trainer_jobs import AddedDataset
    from studio.datasets.library import ask_trainer, find_dataset

    place = home_of(home)
    folder = find_dataset(place, dataset)
    found = ask_trainer(place, DuplicatesRequest(dataset=folder.id), Duplicates)
    made = ""
    if remove and found.groups:
        changes = dict.fromkeys(found.repeated)
        made = ask_trainer(place, ChangeRequest(dataset=folder.id, changes=changes), AddedDataset).dataset
    if as_json:
        print(json.dumps({**found.model_dump(), "dataset": made or folder.id}))
        return
    print(
        f"{len(found.groups)} groups with {sum(map(len, found.groups))} of {found.rows} rows ({found.seconds:.1f} s)."
    )
    for group in found.groups[:20]:
        print("  rows " + ", ".join(str(position + 1) for position in group))
    if made:
        print(f"Without {len(found.repeated)} rows: {made}")


@cleaning.command()
def personal(
    dataset: DatasetArgument,
    mask: Annotated[
        str, typer.Option("--mask", metavar="KINDS", help="Make a version without these: email,phone,card,key or all.")
    ] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find e-mail addresses, phone numbers, card numbers and access keys."""
    from interfaces.dataset_requests import MaskRequest, PersonalData, PersonalRequest
    from interfaces.trainer_jobs import AddedDataset
    from studio.datasets.library import ask_trainer, find_dataset

    place, kinds = home_of(home), _kinds(mask)
    folder = find_dataset(place, dataset)
    found = ask_trainer(place, PersonalRequest(dataset=folder.id), PersonalData)
    made = ask_trainer(place, MaskRequest(dataset=folder.id, kinds=kinds), AddedDataset).dataset if kinds else ""
    if as_json:
        print(json.dumps({**found.model_dump(), "dataset": made or folder.id}))
        return
    print_table(["KIND", "FOUND"], [[kind, str(count)] for kind, count in found.counts.items()])
    print(f"In {found.found_rows} of {found.rows} rows ({found.seconds:.1f} s).")
    for one in found.first[:20]:
        print(f"  row {one.position + 1}: {one.kind} {one.shown}")
    if made:
        print(f"Masked: {made}")


def _kinds(text: str) -> list[PersonalKind]:
    """
    Raises:
        FineTuneError: a kind is unknown.
    """
    from interfaces.dataset_requests import PERSONAL_KINDS
    from interfaces.errors import FineTuneError
    from interfaces.problems import Code

    asked = [one.strip() for one in text.split(",") if one.strip()]
    if asked == ["all"]:
        return list(PERSONAL_KINDS)
    if unknown := [one for one in asked if one not in PERSONAL_KINDS]:
        known = [*PERSONAL_KINDS, "all"]
        raise FineTuneError.of(Code.VALUE_INVALID, field="--mask", value=unknown[0], expected="one_of", known=known)
    return [kind for kind in PERSONAL_KINDS if kind in asked]


@cleaning.command()
def divide(
    dataset: DatasetArgument,
    share: Annotated[float, typer.Option(min=0.001, max=0.999, help="The share of the second dataset.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0)] = 42,
    home: HomeOption = None,
) -> None:
    """Divide a dataset into two at random; equal rows stay together. Prints both ids with their rows."""
    from interfaces.dataset_requests import DividedDatasets, DivideRequest
    from studio.datasets.library import ask_trainer, find_dataset

    place = home_of(home)
    request = DivideRequest(dataset=find_dataset(place, dataset).id, share=share, seed=seed)
    made = ask_trainer(place, request, DividedDatasets)
    print_table(["DATASET", "ROWS"], [[made.first, str(made.rows[0])], [made.second, str(made.rows[1])]])
