"""`finetune models` and `finetune download`: lists models, shows which ones fit this machine, and downloads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from studio.cli.console import HomeOption, JsonOption, home_of, open_console, print_table

if TYPE_CHECKING:
    from studio.models.facts import FoundModel
    from studio.sizing.offers import Offer

models_commands = typer.Typer()


@models_commands.command()
def models(
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Search the Hub for models whose names contain TEXT.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the recommended models, the memory each needs on this machine, and whether it is downloaded."""
    from studio.models.facts import found_on_hub
    from studio.sizing.offers import offers_of

    place = home_of(home)
    offers, found = (offers_of(place), []) if search is None else ([], found_on_hub(search))
    if as_json:
        print(json.dumps([one.model_dump() for one in offers or found], indent=2, ensure_ascii=False))
    elif search is None:
        _tell_offer(offers)
    elif found:
        _tell_found(found)
    else:
        print(f"No text-generation model on the Hub has '{search}' in its name.")


@models_commands.command()
def download(model: Annotated[str, typer.Argument(help="A Hub id, or 'starter'.")], home: HomeOption = None) -> None:
    """Download a model in advance, so that runs start without waiting for it."""
    from studio.cli.attach import download_with_bar

    print(download_with_bar(home_of(home), model, open_console(stderr=True)))


def _tell_offer(offers: list[Offer]) -> None:
    from interfaces.texts import size
    from studio.models.catalog import parameters

    words = {"fits": "fits", "tight": "tight", "too_big": "too large"}
    rows = [
        [one.id, parameters(one.parameters_millions * 1_000_000), size(one.total_bytes),
         words[one.fit_level] + (" (fits with other settings)" if one.fit else ""),
         "downloaded" if one.path else size(one.download_bytes), one.license + (", gated" if one.gated else ""), one.advice]
        for one in offers
    ]  # fmt: skip
    print_table(["MODEL", "SIZE", "MEMORY", "FITS", "DOWNLOAD", "LICENSE", "ADVICE"], rows)


def _tell_found(models: list[FoundModel]) -> None:
    from interfaces.texts import size
    from studio.models.catalog import parameters

    rows = [
        [one.id, parameters(one.parameters), "downloaded" if one.path else size(one.download_bytes) if one.download_bytes else "-",
         one.license or "-", "gated" if one.gated else "open", f"{one.downloads or 0:,}"]
        for one in models
    ]  # fmt: skip
    print_table(["MODEL", "SIZE", "DOWNLOAD", "LICENSE", "ACCESS", "DOWNLOADS"], rows)
